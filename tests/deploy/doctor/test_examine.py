"""The examination: what applies, what is asked, and what is never said."""

import functools
import json
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.deploy.doctor.golden import report_of
from tests.deploy.doctor.record import FOLDERS
from tests.deploy.doctor.recorded_host import RecordedHost, load_machine
from trt_nemotron.deploy.doctor.containers import DOCKER_INFO, PODMAN_INFO, inspect_image
from trt_nemotron.deploy.doctor.examine import ask_board, examine, shown_names
from trt_nemotron.deploy.doctor.host import Answer
from trt_nemotron.deploy.doctor.nvidia import IDENTITY, PROCESSES, STATE
from trt_nemotron.deploy.doctor.order import Order, make_order
from trt_nemotron.deploy.doctor.registry import CHECKS
from trt_nemotron.deploy.doctor.values import DoctorReport
from trt_nemotron.deploy.machine import Machine
from trt_nemotron.deploy.planning import make_plan
from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.document import to_json
from trt_nemotron.errors import InvalidInput
from trt_nemotron.facts.catalogue import load_target, target_names

TARGETS = [name for name in target_names() if name in {"cpu", "spark", "thor", "h100-pcie"}]

RUBBISH = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        ["", "\x00", "[N/A]", "[[[[", "{}", "[]", "[null]", '[{"Config": 1}]', "[{}]", "9" * 40,
         "1.2.3", "-1", "0x", "0xzz", "cpu " + "1 " * 12, "[always]", "MemTotal: x kB", "², ³, ¹",
         '{"ServerVersion": "1", "Runtimes": [], "SecurityOptions": {}}', "NaN, inf, nan, 1e9, -0",
         '{"ServerVersion": "1", "DockerRootDir": "x"}', "NVIDIA GB10, ٣.٣, ٩, ٩, ٩",
         "NVIDIA GB10, 1.1.1, 12.1, 99999999, 1\n" * 3, "NV Power Mode: ",
         "# R38 (release), REVISION: .",
         "1, " * 20, "7, /x y/z, \t, 3"]
    ),
)  # fmt: skip


ANSWERS = st.builds(
    Answer,
    fault=st.sampled_from(["", "", "", "missing", "failed"]),
    exit_code=st.sampled_from([0, 0, 0, 1, -9]),
    output=RUBBISH,
    errors=RUBBISH,
)


class Rubbish(RecordedHost):
    """A machine that answers everything with rubbish, the same question always with the same."""

    def saying(self, words: list[str | None], answers: list[Answer]) -> "Rubbish":
        object.__setattr__(self, "words", words)
        object.__setattr__(self, "rubbish", answers)
        return self

    def read(self, path: str) -> str | None:
        return self.words[crc32(path.encode()) % len(self.words)]  # type: ignore[attr-defined]

    def listing(self, path: str) -> tuple[str, ...]:
        return ("policy0", "b") if self.read(path) else ()

    def run(self, argv: tuple[str, ...]) -> Answer:
        return self.rubbish[crc32(repr(argv).encode()) % len(self.rubbish)]  # type: ignore[attr-defined]

    def environment(self) -> dict[str, str]:
        names = ("CUDA_VISIBLE_DEVICES", "HF_TOKEN", "NO_PROXY", "HTTP_PROXY", "OMPI_X", "X_KEY")
        return {name: text for name in names if (text := self.read(name)) is not None}

    def python_version(self) -> str:
        return self.read("python") or ""


def examined(target: str, words: list[str | None], answers: list[Answer]) -> DoctorReport:
    host = Rubbish(load_machine("debian-no-gpu").machine).saying(words, answers)
    return examine(order_for(target), host)


@functools.cache
def order_for(target: str) -> Order:
    return make_order(load_target(target), FOLDERS, port=8000)


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=50, deadline=None)
@given(
    words=st.lists(st.none() | RUBBISH, min_size=1, max_size=12),
    answers=st.lists(ANSWERS, min_size=1, max_size=6),
)
def test_no_answer_of_a_machine_raises(target: str, words: list[str | None], answers: list[Answer]):
    report = examined(target, words, answers)
    assert {finding.id.partition(":")[0] for finding in report.findings} == CHECKS.keys()
    assert json.loads(to_json(report))["target"] == target


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("text", ["[" * 50000, "9" * 9000, "1 " * 9000, "a" * 9000, ", " * 9000])
def test_long_answers_neither_raise_nor_hang(target: str, text: str):
    assert examined(target, [text], [Answer(output=text, errors=text)]).findings


def test_secrets_of_the_environment_are_not_in_the_report():
    secret = "hf_ThisIsNoRealToken00"
    answers = {
        IDENTITY: Answer(output=f"NVIDIA GB10 {secret}, 580.1, 12.1, [N/A], [N/A]\n"),
        PROCESSES: Answer(output=f"7, /opt/{secret}/serve --api-key {secret}, 19\n"),
        DOCKER_INFO: Answer(exit_code=1, errors=f"cannot reach https://me:{secret}@host\n"),
    }
    host = load_machine("spark").having(
        answers=answers,
        environment={
            "HF_TOKEN": secret,
            "NVIDIA_API_KEY": "nothing-like-a-known-shape",
            "HTTPS_PROXY": "http://user:pass-word@proxy:1",
        },
    )
    text = to_json(report_of(host, "spark")).decode()
    for word in (secret, "nothing-like", "pass-word", "proxy:1"):
        assert word not in text
    assert "HF_TOKEN is set" in text
    assert "serve (7" in text


def test_a_check_that_does_not_apply_is_skipped_and_says_when_it_would():
    report = report_of(load_machine("debian-no-gpu"), "cpu")
    skipped = {finding.id: finding.evidence for finding in report.having("skip")}
    assert skipped["driver-answers"] == "only where the target has a GPU"
    assert skipped["port"] == "only where `--port` is given"
    assert "memory" not in skipped


def test_inside_the_container_no_engine_is_missed():
    host = load_machine("h100-nvl-no-driver").having(programs=("trtllm-serve",))
    statuses = {it.id: it.status for it in report_of(host, "h100-nvl").findings}
    assert {statuses[name] for name, it in CHECKS.items() if it.group == "containers"} == {"skip"}


def test_only_the_engine_asked_for_is_used():
    host = load_machine("debian-no-gpu")
    order = make_order(load_target("spark"), FOLDERS, engine="docker")
    report = examine(order, host)
    engine = next(it for it in report.findings if it.id == "engine")
    assert engine.status == "fail"
    assert "podman" not in engine.evidence
    assert "Cannot connect to the Docker daemon" in engine.evidence


def test_programs_that_do_not_matter_are_not_asked():
    asked: list[tuple[str, ...]] = []

    class Listening(RecordedHost):
        def run(self, argv: tuple[str, ...]) -> Answer:
            asked.append(argv)
            return super().run(argv)

    machine = load_machine("debian-no-gpu")
    examine(make_order(load_target("cpu"), FOLDERS), Listening(machine.machine, machine.files))
    assert asked == [IDENTITY]


def test_every_question_is_asked_once():
    asked: list[tuple[str, ...]] = []

    class Listening(RecordedHost):
        def run(self, argv: tuple[str, ...]) -> Answer:
            asked.append(argv)
            return super().run(argv)

    machine = load_machine("spark")
    host = Listening(machine.machine, machine.files)
    order = make_order(load_target("spark"), FOLDERS)
    examine(order, host, ask_board(host))
    assert len(asked) == len(set(asked))
    assert {IDENTITY, STATE, PROCESSES, DOCKER_INFO, PODMAN_INFO} < set(asked)
    assert inspect_image("docker", order.image) in asked


def test_names_of_boards_are_those_shown():
    assert shown_names(ask_board(load_machine("h100-sxm-busy"))) == ("NVIDIA H100 80GB HBM3",) * 8
    assert shown_names(ask_board(load_machine("debian-no-gpu"))) == ()


def test_several_kinds_of_boards_leave_the_detection_empty():
    row = "{}, 580.82.07, 9.0, 81559, 81000\n"
    both = row.format("NVIDIA H100 PCIe") + row.format("NVIDIA H100 NVL")
    host = load_machine("h100-sxm-busy").having(answers={IDENTITY: Answer(output=both)})
    report = report_of(host, "h100-pcie")
    assert report.detected == ""
    assert "NVIDIA H100 NVL, NVIDIA H100 PCIe" in report.detection


def test_a_plan_s_ledger_is_what_memory_is_judged_by():
    target = load_target("spark")
    machine = Machine(architecture="aarch64", cores=20, memory_total_bytes=1 << 37)
    plan, _ = make_plan("spark", None, Path("nemotron-3-nano-4b-fp8"), Wishes(), machine)
    order = make_order(target, FOLDERS, plan=plan)
    assert order.release is not None
    assert order.release.release == plan.release
    found = {it.id: it for it in examine(order, load_machine("spark")).findings}
    assert found["memory"].evidence.count("the plan takes") == 1
    needed = plan.ledger.needed_bytes - plan.ledger.line("reserve").size_bytes
    free = needed // 1024 - 1
    short = load_machine("spark").having(
        files={"/proc/meminfo": f"MemTotal: 127601228 kB\nMemAvailable: {free} kB\n"}
    )
    found = {it.id: it for it in examine(order, short).findings}
    assert found["memory"].status == "fail"
    # The weights are in the bundle already.
    assert "Nemotron" not in found["disk"].evidence


def test_a_defect_of_some_weights_fails_only_with_those_weights():
    target = load_target("h100-sxm")
    host = load_machine("h100-sxm-busy")
    machine = Machine(architecture="x86_64", cores=9, memory_total_bytes=1 << 37)
    wishes = Wishes(is_experimental=True)
    statuses = {}
    for form in ("fp8", "nvfp4"):
        plan, _ = make_plan("h100-sxm", None, Path(f"nemotron-3-nano-4b-{form}"), wishes, machine)
        report = examine(make_order(target, FOLDERS, plan=plan), host)
        statuses[form] = {it.id: it.status for it in report.findings}["defect:nvfp4-on-hopper"]
    assert statuses == {"fp8": "warn", "nvfp4": "fail"}


@pytest.mark.parametrize(
    ("runtime", "release", "word"), [("nosuch", "", "nosuch"), ("trtllm", "0.0.1", "0.0.1")]
)
def test_names_that_nobody_knows_are_refused(runtime: str, release: str, word: str):
    with pytest.raises(InvalidInput, match=word):
        make_order(load_target("spark"), FOLDERS, runtime=runtime, release=release)
