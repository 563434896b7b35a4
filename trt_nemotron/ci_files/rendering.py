"""Rendering: a provider's templates and a user's choices become the text of files.

A template holds `@NAME@` for a choice, and a line `@STEP name@` for a script of `templates/steps/`,
which is set in at the indentation of that line. The scripts are the same for every provider.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trt_nemotron.ci_files.providers import Provider
from trt_nemotron.errors import InvalidInput

_TEMPLATES = Path(__file__).with_name("templates")
_STEP = re.compile(r"^( *)@STEP (\w+)@$", re.MULTILINE)
_CHOICE = re.compile(r"@([A-Z_]+)@")

# What stands in a file unquoted or between quotes must end neither, in YAML, Groovy or a shell.
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_PATH = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._/-]*")
_TEXT = re.compile(r"[A-Za-z0-9._~+\[\],=<>:/ -]*")


@dataclass(frozen=True, slots=True)
class Choices:
    """What a user chose.

    Attributes:
        runner_label: label of the one runner that the device is.
        budget: path in the repository.
        package: what pip installs in a job; empty for the tool on the runner's PATH.
        baseline_store: empty for none.

    Raises:
        InvalidInput: a value with a character that could end the string it is written into.
    """

    target: str
    runner_label: str
    budget: str
    profile: str = "quick"
    package: str = ""
    baseline_store: str = ""

    def __post_init__(self) -> None:
        for name, pattern in (
            ("target", _LABEL),
            ("runner_label", _LABEL),
            ("budget", _PATH),
            ("profile", _LABEL),
            ("package", _TEXT),
            ("baseline_store", _TEXT),
        ):
            value = getattr(self, name)
            if not pattern.fullmatch(value):
                raise InvalidInput(
                    f"{value!r} cannot stand in a CI file as {name.replace('_', ' ')}",
                    evidence=f"allowed: {pattern.pattern}",
                    next_step="Choose another, or edit the file that is written.",
                )


@dataclass(frozen=True, slots=True)
class WiringFile:
    """A file for a user's repository.

    Attributes:
        path: in the repository.
        is_ours: whether `--force` may write a newer version over it. What is only a start, a budget
            or the changelog, belongs to the user once it is there.
    """

    path: str
    text: str
    is_ours: bool = True


def render(provider: Provider, choices: Choices) -> Iterator[WiringFile]:
    """The files of a provider, in the order in which it names them."""
    for path, template in provider.files.items():
        yield WiringFile(path=path, text=_filled(read_template(template), choices))


def read_template(name: str) -> str:
    """A template with its steps set in, its choices still open."""
    text = (_TEMPLATES / name).read_text("utf-8")
    return _STEP.sub(lambda match: _indented(match[2], match[1]), text)


def _indented(step: str, margin: str) -> str:
    lines = (_TEMPLATES / "steps" / f"{step}.sh").read_text("utf-8").splitlines()
    return "\n".join(f"{margin}{line}" if line else "" for line in lines)


def _filled(text: str, choices: Choices) -> str:
    return _CHOICE.sub(lambda match: getattr(choices, match[1].lower()), text)
