"""Engines: what a compiler may do wrong, each found and told in words of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil
import pytest

from tests.deploy.compile import compiler_double
from trt_nemotron.deploy.compile import engines as engines_module
from trt_nemotron.deploy.compile.engines import Compiler, compile_engines, make_profiles
from trt_nemotron.deploy.compile.graph import GraphRecord
from trt_nemotron.deploy.compile.spec import GraphSpec
from trt_nemotron.deploy.compile.values import EngineRecord, EngineRequest, EngineResult
from trt_nemotron.document import read_document
from trt_nemotron.progress import SILENT

pytestmark = pytest.mark.slow

Compiling = Callable[..., tuple[EngineRecord, ...]]


class Told:
    """A progress that keeps what stays on the screen."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def phase(self, text: str) -> None:
        pass

    def step(self, done: int, total: int, unit: str) -> None:
        assert 0 <= done <= total

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def double(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`double(behaviour)`: the compiling process finds a double of the compiler."""
    folder = tmp_path / "double"
    folder.mkdir()
    (folder / "tensorrt_rtx.py").write_text(compiler_double.SOURCE)
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))

    def behave(behaviour: str) -> None:
        monkeypatch.setenv("PYTHONPATH", path)
        monkeypatch.setenv("DOUBLE", behaviour)

    return behave


@pytest.fixture
def compiling(tiny_graph: tuple[Path, GraphRecord], tmp_path: Path) -> Compiling:
    folder, record = tiny_graph

    def compile_for(
        *sms: int, told: Told | None = None, version: str = "1.7.1.double"
    ) -> tuple[EngineRecord, ...]:
        profiles = make_profiles(record.spec)
        compiler = Compiler("tensorrt-rtx", "tensorrt_rtx", version, profiles)
        return compile_engines(
            tmp_path / "engines",
            record,
            sms,
            graph_folder=folder,
            compiler=compiler,
            progress=told or SILENT,
        )

    return compile_for


def files(folder: Path) -> set[str]:
    return {path.name for path in (folder / "engines").iterdir()}


def test_an_engine_is_compiled_checked_and_recorded(
    compiling: Compiling, double: Callable[[str], None], tmp_path: Path
):
    double("works")
    (record,) = compiling(121)
    assert record.status == "compiled"
    assert record.label == "compiled, not executed"
    assert (record.engine_bytes, record.network_layers) == (3_000_000, 7)
    assert record.layers == {"MATRIX_MULTIPLY": 7}
    assert record.peak_rss_bytes > 5_000_000
    assert files(tmp_path) == {"sm121.engine", "sm121.json"}
    assert read_document(tmp_path / "engines" / "sm121.json", EngineRecord) == record


def test_a_compiler_that_cannot_stream_hands_over_the_whole_engine(
    compiling: Compiling, double: Callable[[str], None], tmp_path: Path
):
    double("cannot stream")
    (record,) = compiling(121)
    assert (
        record.engine_bytes == (tmp_path / "engines" / "sm121.engine").stat().st_size == 4_000_000
    )


def test_tensorrt_proper_is_told_no_board(tiny_graph: tuple[Path, GraphRecord], tmp_path: Path):
    """It knows its own; its engine is called for the board that the driver showed."""
    folder, record = tiny_graph
    asked: list[EngineRequest] = []

    def refuse(request: EngineRequest) -> EngineResult:
        asked.append(request)
        return EngineResult(version="11.4", problem="no GPU")

    compiler = Compiler("tensorrt", "tensorrt", "11.4", make_profiles(record.spec))
    (engine,) = compile_engines(
        tmp_path / "engines", record, (90,), graph_folder=folder, compiler=compiler,
        progress=SILENT, compile_one=refuse,
    )  # fmt: skip
    assert (asked[0].module, asked[0].sm) == ("tensorrt", 0)
    assert (engine.sm, engine.status, engine.problem) == (90, "failed", "no GPU")


@pytest.mark.parametrize(
    "case",
    [
        ("refuses", "cannot read the graph", "UNSUPPORTED_NODE"),
        ("says no", "ended without an engine", "no tactic for layer 3"),
        ("says yes and writes nothing", "ended without an engine", ""),
        ("writes half", "is cut short", "3,000,000 bytes"),
        ("writes too little", "cannot hold the network", "its weights alone are"),
        ("crashes", "was killed by SIGABRT", "terminate called without an active exception"),
    ],
)
def test_whatever_goes_wrong_is_a_finding_and_no_engine(
    compiling: Compiling, double: Callable[[str], None], tmp_path: Path, case: tuple[str, str, str]
):
    behaviour, problem, word = case
    double(behaviour)
    (record,) = compiling(80)
    assert record.status == "failed"
    assert problem in record.problem
    assert word in "\n".join(record.messages)
    assert record.file == ""
    assert files(tmp_path) == {"sm80.json"}


def test_one_board_s_failure_is_not_another_s(
    compiling: Compiling, double: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
):
    double("works")
    real = engines_module.compile_in_process

    def second_crashes(request: EngineRequest) -> EngineResult:
        double("crashes" if request.sm == 86 else "works")
        return real(request)

    monkeypatch.setattr(engines_module, "compile_in_process", second_crashes)
    assert [it.status for it in compiling(80, 86, 89)] == ["compiled", "failed", "compiled"]


def test_an_engine_that_is_there_is_kept(compiling: Compiling, double: Callable[[str], None]):
    double("works")
    (first,) = compiling(121)
    double("crashes")
    (second,) = compiling(121)
    assert second == msgspec.structs.replace(first, is_reused=True)


@pytest.mark.parametrize("damage", ["cut", "altered", "gone", "longer", "empty"])
def test_a_damaged_engine_is_found_and_compiled_anew(
    compiling: Compiling, double: Callable[[str], None], tmp_path: Path, damage: str
):
    double("works")
    (first,) = compiling(121)
    path, told = tmp_path / "engines" / "sm121.engine", Told()
    data = path.read_bytes()
    path.unlink()
    if damage != "gone":
        changed = {"cut": data[:-1], "altered": data[:-1] + b"x", "longer": data + b"x"}
        path.write_bytes(changed.get(damage, b""))
    (second,) = compiling(121, told=told)
    assert not second.is_reused
    assert second.engine_sha256 == first.engine_sha256
    assert path.read_bytes() == data
    words = {"altered": "has been altered", "gone": "is not there"}
    assert words.get(damage, "is cut short") in told.notes[0]


def test_another_version_of_the_compiler_compiles_anew(
    compiling: Compiling, double: Callable[[str], None]
):
    double("works")
    compiling(121)
    (again,) = compiling(121, version="1.8.0")
    assert not again.is_reused


def test_a_failure_is_tried_again(compiling: Compiling, double: Callable[[str], None]):
    double("says no")
    compiling(121)
    double("works")
    (record,) = compiling(121)
    assert record.status == "compiled"


def test_leftovers_of_a_killed_run_are_removed(
    compiling: Compiling, double: Callable[[str], None], tmp_path: Path
):
    double("works")
    (tmp_path / "engines").mkdir()
    (tmp_path / "engines" / "sm80.engine.part").write_bytes(b"half")
    compiling(121)
    assert files(tmp_path) == {"sm121.engine", "sm121.json"}


def test_a_process_that_leaves_no_result_is_a_finding(
    compiling: Compiling, monkeypatch: pytest.MonkeyPatch
):
    from trt_nemotron.command import run

    monkeypatch.setattr(engines_module, "run", lambda *_, **__: run(["true"], timeout_s=10))
    (record,) = compiling(121)
    assert record.problem == "the compiling process ended well and left no result"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no kernel ties a process to another")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_compiler_ends_with_us_and_leaves_nothing_that_counts(
    double: Callable[[str], None], tmp_path: Path, number: signal.Signals
):
    double("hangs")
    out = tmp_path / "out"
    arguments = ["compile", "--sm", "121", "--max-seq-len", "64", "--out", str(out)]
    with subprocess.Popen(
        [sys.executable, "-m", "trt_nemotron", *arguments], stderr=subprocess.PIPE
    ) as process:
        worker = _worker_of(process.pid)
        process.send_signal(number)
        process.communicate(timeout=30)
    psutil.wait_procs([worker], timeout=30)
    assert not worker.is_running()
    assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    assert not list(out.rglob("*.engine"))
    if number == signal.SIGINT:
        assert not list((out / "engines").iterdir())


def _worker_of(pid: int) -> psutil.Process:
    """The compiling process, once it hangs where it is told to."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for child in psutil.Process(pid).children():
            is_worker = any("engine_process" in part for part in child.cmdline())
            if is_worker and _holds_part(child):
                return child
        time.sleep(0.05)
    raise AssertionError("the compiling process did not start")


def _holds_part(process: psutil.Process) -> bool:
    return any(file.path.endswith(".part") for file in process.open_files())


def test_profiles_hold_every_call(small_spec: GraphSpec):
    spec = msgspec.structs.replace(small_spec, max_batch_size=4)
    (whole,) = make_profiles(spec)
    assert (whole.batch, whole.tokens) == ((1, 4, 4), (1, 1, 16))
    decode, prefill = make_profiles(spec, is_split=True)
    assert (decode.batch, decode.tokens) == ((1, 4, 4), (1, 1, 1))
    assert (prefill.batch, prefill.tokens) == ((1, 1, 1), (2, 16, 16))
    single = msgspec.structs.replace(spec, chunk=1)
    assert len(make_profiles(single, is_split=True)) == 1
