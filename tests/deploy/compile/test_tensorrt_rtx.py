"""The real compiler, on this machine, without a GPU."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from trt_nemotron.deploy.compile.budget import CompileBudget
from trt_nemotron.deploy.compile.engines import compile_in_process, make_profiles
from trt_nemotron.deploy.compile.graph import GRAPH_NAME, GraphRecord
from trt_nemotron.deploy.compile.values import EngineRequest
from trt_nemotron.document import read_document, write_document

pytest.importorskip("onnx", reason="graphs are written with onnx")
pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
pytestmark = pytest.mark.slow

SMALL = ("--max-seq-len", "256", "--chunk", "64")


def compile_into(out: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "trt_nemotron", "compile", "--out", str(out), "--json", *arguments],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def report_of(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    tree: dict[str, Any] = json.loads(done.stdout)
    return tree


def test_five_engines_within_the_shipped_budget(tmp_path: Path, repository: Path):
    """All of it but the seconds, which are the machine's and its neighbours'."""
    shipped = read_document(repository / "ci" / "compile-budget.yaml", CompileBudget)
    budget = tmp_path / "budget.json"
    write_document(budget, msgspec.structs.replace(shipped, total_seconds=None))
    tree = report_of(compile_into(tmp_path, "--budget", str(budget)))
    assert [engine["sm"] for engine in tree["engines"]] == [80, 86, 89, 120, 121]
    for engine in tree["engines"]:
        path = tmp_path / "engines" / engine["file"]
        assert path.stat().st_size == engine["engine_bytes"] > tree["graph"]["weight_bytes"]
        assert engine["label"] == "compiled, not executed"
        assert engine["layers"]["MATRIX_MULTIPLY"] == tree["graph"]["nodes"]["MatMul"] == 31
    again = report_of(compile_into(tmp_path, "--budget", str(budget)))
    assert all(engine["is_reused"] for engine in again["engines"])


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("more", [(), ("--max-batch-size", "4"), ("--split-profiles",)], ids=str)
def test_every_precision_batch_and_profile(tmp_path: Path, precision: str, more: tuple[str, ...]):
    arguments = ("--sm", "121", "--precision", precision, *SMALL, *more)
    (engine,) = report_of(compile_into(tmp_path, *arguments))["engines"]
    assert engine["status"] == "compiled"


def test_the_engine_s_header_says_how_long_it_is(tmp_path: Path):
    """What the check of a truncated engine rests on, and no documentation says."""
    report_of(compile_into(tmp_path, "--sm", "121", *SMALL))
    data = (tmp_path / "engines" / "sm121.engine").read_bytes()
    assert data[:4] == b"vtrt"
    assert int.from_bytes(data[16:24], "little") == len(data)


def test_a_truncated_engine_is_found_and_compiled_anew(tmp_path: Path):
    report_of(compile_into(tmp_path, "--sm", "121", *SMALL))
    path = tmp_path / "engines" / "sm121.engine"
    whole = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(whole - 4096)
    (engine,) = report_of(compile_into(tmp_path, "--sm", "121", *SMALL))["engines"]
    assert not engine["is_reused"]
    assert path.stat().st_size == engine["engine_bytes"]


def test_a_scratch_limit_is_taken(tmp_path: Path):
    arguments = ("--sm", "121", "--workspace-mib", "64", *SMALL)
    (engine,) = report_of(compile_into(tmp_path, *arguments))["engines"]
    assert engine["status"] == "compiled"


def test_a_graph_with_a_plugin_is_refused_in_the_compiler_s_words(
    tiny_graph: tuple[Path, GraphRecord], tmp_path: Path
):
    import onnx

    folder, record = tiny_graph
    path = folder / GRAPH_NAME
    model = onnx.load(path, load_external_data=False)
    node = next(node for node in model.graph.node if node.op_type == "Softplus")
    node.domain, node.op_type = "trt_edgellm", "update_ssm_state"
    model.opset_import.add(domain="trt_edgellm", version=1)
    path.write_bytes(model.SerializeToString())
    request = EngineRequest(
        module="tensorrt_rtx",
        graph_path=str(path),
        engine_path=str(tmp_path / "e"),
        result_path=str(tmp_path / "r"),
        sm=121,
        profiles=make_profiles(record.spec),
    )
    result = compile_in_process(request)
    assert result.problem == "the compiler cannot read the graph"
    assert "update_ssm_state" in "\n".join(result.messages)
    assert result.engine_bytes == 0


def test_a_broken_budget_is_exit_code_1_after_the_report(tmp_path: Path):
    budget = tmp_path / "budget.yaml"
    budget.write_text("schema: trt-nemotron/compile-budget/1\nengine_bytes: 1000\n")
    done = compile_into(tmp_path / "out", "--sm", "121", *SMALL, "--budget", str(budget))
    assert done.returncode == 1
    assert "engine_bytes" in done.stderr
    assert (tmp_path / "out" / "compile.json").is_file()
