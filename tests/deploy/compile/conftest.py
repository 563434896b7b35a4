"""Graphs of the embedded checkpoint, and what Transformers computes for it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest

from tests.deploy.compile import executing as executing_module
from trt_nemotron.deploy.checkpoint.embedded import embedded_checkpoint_path
from trt_nemotron.deploy.checkpoint.opening import open_checkpoint
from trt_nemotron.deploy.compile.compiling import CompileWishes, plan_compile
from trt_nemotron.deploy.compile.graph import GraphRecord, ensure_graph
from trt_nemotron.deploy.compile.spec import GraphSpec
from trt_nemotron.deploy.compile.weights import RandomWeights, open_weights
from trt_nemotron.progress import SILENT

BuildGraph = Callable[..., tuple[Path, GraphRecord]]


@pytest.fixture(scope="session")
def executing() -> ModuleType:
    """The module `executing`, where ONNX Runtime is installed."""
    pytest.importorskip("onnxruntime", reason="graphs are executed with ONNX Runtime")
    return executing_module


@pytest.fixture(scope="session")
def recorded() -> Mapping[str, Any]:
    """`tests/torch/record_logits.py` made it."""
    with np.load(Path(__file__).with_name("embedded_logits.npz")) as file:
        return dict(file)


@pytest.fixture(scope="session")
def small_spec() -> GraphSpec:
    """Of the embedded checkpoint, in FP32, with a short cache and short chunks."""
    plan, _ = plan_compile(CompileWishes(precision="fp32", max_seq_len=64, chunk=16))
    return plan.spec


@pytest.fixture(scope="session")
def build_graph(tmp_path_factory: pytest.TempPathFactory) -> BuildGraph:
    """`build_graph(folder=None, source=None, **wishes)`: the graph's folder and its record."""
    pytest.importorskip("onnx", reason="graphs are written with onnx")

    def build(
        folder: Path | None = None, source: Path | None = None, **wishes: Any
    ) -> tuple[Path, GraphRecord]:
        defaults = {"precision": "fp32", "max_seq_len": 512, "chunk": 128}
        plan, _ = plan_compile(CompileWishes(**{"checkpoint": source, **defaults, **wishes}))
        place = folder or tmp_path_factory.mktemp("compile") / "graph"
        with open_weights(open_checkpoint(source or embedded_checkpoint_path()), SILENT) as weights:
            return place, ensure_graph(place, plan.spec, weights, SILENT)

    return build


@pytest.fixture
def tiny_graph(tmp_path: Path, small_spec: GraphSpec) -> tuple[Path, GraphRecord]:
    """A graph of two layers and random numbers, in a folder of the test's own."""
    pytest.importorskip("onnx", reason="graphs are written with onnx")
    shape = msgspec.structs.replace(small_spec.shape, pattern="M*")
    spec = msgspec.structs.replace(small_spec, shape=shape)
    folder = tmp_path / "tiny" / "graph"
    return folder, ensure_graph(folder, spec, RandomWeights(), SILENT)
