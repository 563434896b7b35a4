"""Files under `tests/facts/lint/` tell in comments what they are checked against."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from trt_nemotron.facts.catalogue import load_release
from trt_nemotron.facts.configuration.accepting import releases_that_accept
from trt_nemotron.facts.configuration.check import check_configuration
from trt_nemotron.facts.configuration.entry import read_yaml
from trt_nemotron.facts.configuration.finding import Finding
from trt_nemotron.facts.figure import Figure
from trt_nemotron.facts.release import RuntimeRelease
from trt_nemotron.facts.target import Gpu, RuntimeSupport, SupportStatus, Target

LINT = Path(__file__).resolve().parent.parent / "lint"
WRONG = sorted((LINT / "wrong").glob("*.yaml"))
RIGHT = sorted((LINT / "right").glob("*.yaml"))


@dataclass(frozen=True)
class Case:
    """A file and what its first comments say of it."""

    path: Path
    said: dict[str, str]

    @property
    def text(self) -> str:
        return self.path.read_text()

    def line_of(self, place: str) -> int:
        """The line on which the last part of a key stands last."""
        last = place.rpartition(".")[2]
        lines = self.path.read_text().splitlines()
        return max(
            (number for number, line in enumerate(lines, 1) if re.match(rf"\s*{last}:", line)),
            default=0,
        )


def read_case(path: Path) -> Case:
    pairs = re.findall(r"^# (\w+): (.*)$", path.read_text(), re.MULTILINE)
    return Case(path, dict(pairs))


def pytest_generate_tests(metafunc: pytest.Metafunc):
    """`wrong_case` and `right_case`: every file of the folder."""
    for name, paths in (("wrong_case", WRONG), ("right_case", RIGHT)):
        if name in metafunc.fixturenames:
            cases = [read_case(path) for path in paths]
            metafunc.parametrize(name, cases, ids=[path.stem for path in paths])


def figure(value: float) -> Figure:
    return Figure(value=value, status="unverified", source="a test", date="2026-11-23")


def target_double(name: str, status: SupportStatus) -> Target:
    """A board with shared memory, on which the runtime stands as said."""
    support = [
        RuntimeSupport(runtime="edgellm", status="supported", reason="it runs", source="a test"),
        RuntimeSupport(runtime="trtllm", status=status, reason="told by a test", source="a test"),
    ]
    return Target(
        name=name,
        title="a double",
        architectures=("aarch64",),
        runtimes=tuple(support),
        reserve_bytes=figure(0),
        gpu=Gpu(sm=121, bandwidth_gb_s=figure(273), is_memory_unified=True),
    )


TARGETS = {
    "spark": target_double("spark", "supported"),
    "refusing": target_double("refusing", "refused"),
}


@pytest.fixture(scope="session")
def accepting() -> Callable[[str], tuple[str, ...]]:
    return releases_that_accept("trtllm")


@pytest.fixture(scope="session")
def release() -> Callable[[str], RuntimeRelease]:
    """A release by its name."""
    known: dict[str, RuntimeRelease] = {}

    def load(name: str) -> RuntimeRelease:
        if name not in known:
            known[name] = load_release("trtllm", name)
        return known[name]

    return load


@pytest.fixture(scope="session")
def wrong_cases() -> list[Case]:
    """All of them."""
    return [read_case(path) for path in WRONG]


@pytest.fixture(scope="session")
def card() -> Case:
    """The model card's own file."""
    return read_case(LINT / "right" / "card.yaml")


@pytest.fixture(scope="session")
def check(accepting: Callable[[str], tuple[str, ...]], release: Callable[[str], RuntimeRelease]):
    """Check a text against a release, with a command line and a target if they are given."""

    def checked(
        text: str, name: str, flags: str | None = None, target: str | None = None
    ) -> tuple[Finding, ...]:
        return check_configuration(
            read_yaml(text.encode(), "a test's file"),
            release(name),
            accepting=accepting,
            flags=flags,
            target=TARGETS[target] if target else None,
        )

    return checked


@pytest.fixture(scope="session")
def check_case(check: Callable[..., tuple[Finding, ...]]):
    """Check a case as its comments say."""

    def checked(case: Case) -> tuple[Finding, ...]:
        said = case.said
        return check(case.text, said["release"], said.get("flags"), said.get("target"))

    return checked
