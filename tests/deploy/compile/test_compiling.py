import json
from collections.abc import Callable
from pathlib import Path

import pytest

from trt_nemotron.deploy.compile import compiling as compiling_module
from trt_nemotron.deploy.compile.compiling import (
    CompileWishes,
    compile_checkpoint,
    plan_compile,
)
from trt_nemotron.deploy.compile.values import CompileReport, EngineRequest, EngineResult
from trt_nemotron.document import read_document
from trt_nemotron.errors import CheckpointUnusable, EnvironmentUnfit, InvalidInput
from trt_nemotron.progress import SILENT

SMALL = CompileWishes(max_seq_len=64, sms=(80, 121))
PLENTY = 1 << 50


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the compiler were installed: no test here starts it."""
    pytest.importorskip("onnx", reason="graphs are written with onnx")
    monkeypatch.setattr(compiling_module, "module_of", lambda _: "tensorrt_rtx")
    monkeypatch.setattr(compiling_module, "_version", lambda _: "1.7.1.double")


def writes(size: int) -> Callable[[EngineRequest], EngineResult]:
    """A compiler double that writes `size` zeros and says so."""

    def compile_one(request: EngineRequest) -> EngineResult:
        import hashlib

        data = bytes(size)
        Path(request.engine_path).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        return EngineResult(
            version="1.7.1.double", engine_bytes=size, engine_sha256=digest, seconds=2.5
        )

    return compile_one


def test_the_plan_says_what_would_be_done():
    plan, checkpoint = plan_compile(CompileWishes())
    assert checkpoint.name == plan.checkpoint == "trt-nemotron-embedded"
    assert plan.label == "compiled, not executed"
    assert plan.sms == (80, 86, 89, 120, 121)
    assert (plan.spec.precision, plan.spec.max_seq_len, plan.spec.chunk) == ("bf16", 4096, 256)
    assert plan.parameters == 862664
    assert plan.memory_bytes > plan.weight_bytes * 2


def test_the_real_shape_with_random_weights():
    name = Path("nemotron-3-nano-4b-bf16")
    plan, _ = plan_compile(CompileWishes(checkpoint=name, is_random=True, layers=13))
    assert plan.spec.shape.pattern == "M-M-M-MM-M-M*"
    assert plan.parameters == 1_807_277_920
    assert 8e9 < plan.memory_bytes < 16e9
    split, _ = plan_compile(
        CompileWishes(checkpoint=name, is_random=True, layers=13, is_split=True)
    )
    assert 14e9 < split.memory_bytes < 16e9
    with pytest.raises(CheckpointUnusable, match="no weights to compile") as caught:
        plan_compile(CompileWishes(checkpoint=name))
    assert "--random-weights" in caught.value.next_step


@pytest.mark.parametrize("layers", [0, 8])
def test_more_layers_than_there_are(layers: int):
    with pytest.raises(InvalidInput, match=f"the network has 7 layers, not {layers}"):
        plan_compile(CompileWishes(layers=layers))


def test_a_short_sequence_has_a_short_chunk():
    assert plan_compile(SMALL)[0].spec.chunk == 64


def test_the_report_is_written_and_reads_back(installed: None, tmp_path: Path):
    plan, checkpoint = plan_compile(SMALL)
    report = compile_checkpoint(
        plan, checkpoint, tmp_path / "out", SILENT, compile_one=writes(5_000_000)
    )
    assert read_document(tmp_path / "out" / "compile.json", CompileReport) == report
    assert [engine.sm for engine in report.engines] == [80, 121]
    assert report.seconds == 5.0
    assert not report.failed
    tree = json.loads((tmp_path / "out" / "compile.json").read_text())
    assert tree["label"] == "compiled, not executed"
    assert {engine["label"] for engine in tree["engines"]} == {"compiled, not executed"}


def test_a_failed_engine_is_in_the_report(installed: None, tmp_path: Path):
    plan, checkpoint = plan_compile(SMALL)
    report = compile_checkpoint(plan, checkpoint, tmp_path, SILENT, compile_one=writes(10))
    assert len(report.failed) == 2
    assert "cannot hold the network" in report.failed[0].problem
    assert not list(tmp_path.rglob("*.engine"))


def test_too_little_memory_is_told_before_anything_is_written(installed: None, tmp_path: Path):
    plan, checkpoint = plan_compile(SMALL)
    with pytest.raises(EnvironmentUnfit, match="not enough memory") as caught:
        compile_checkpoint(plan, checkpoint, tmp_path / "out", SILENT, available=lambda: 1000)
    assert "--layers" in caught.value.next_step
    assert not (tmp_path / "out").exists()


def test_two_runs_into_one_folder(installed: None, tmp_path: Path):
    from filelock import FileLock

    plan, checkpoint = plan_compile(SMALL)
    with (
        FileLock(tmp_path / ".lock"),
        pytest.raises(EnvironmentUnfit, match="another run is compiling"),
    ):
        compile_checkpoint(plan, checkpoint, tmp_path, SILENT, compile_one=writes(5_000_000))


def test_a_missing_compiler_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    plan, checkpoint = plan_compile(SMALL)
    with pytest.raises(EnvironmentUnfit, match="tensorrt_rtx is missing"):
        compile_checkpoint(plan, checkpoint, tmp_path / "out", SILENT, available=lambda: PLENTY)
    assert not (tmp_path / "out").exists()
