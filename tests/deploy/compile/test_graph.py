import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.deploy.compile.conftest import BuildGraph
from trt_nemotron.deploy.checkpoint.embedded import embedded_checkpoint_path
from trt_nemotron.deploy.checkpoint.opening import open_checkpoint
from trt_nemotron.deploy.compile import graph as graph_module
from trt_nemotron.deploy.compile.graph import (
    GRAPH_NAME,
    RECORD_NAME,
    WEIGHTS_NAME,
    GraphRecord,
    ensure_graph,
)
from trt_nemotron.deploy.compile.spec import GraphSpec, WeightSlot, weight_slots
from trt_nemotron.deploy.compile.weights import RandomWeights, open_weights
from trt_nemotron.document import read_document
from trt_nemotron.errors import CheckpointUnusable, EnvironmentUnfit
from trt_nemotron.progress import SILENT


class Stopping(RandomWeights):
    """Random weights that end in Ctrl-C half-way."""

    def blocks(self, slot: WeightSlot):
        if slot.name == "norm_f":
            raise KeyboardInterrupt
        return super().blocks(slot)


def test_the_record_tells_what_was_built(build_graph: BuildGraph, tmp_path: Path):
    folder, record = build_graph(tmp_path / "graph")
    assert read_document(folder / RECORD_NAME, GraphRecord) == record
    assert record.parameters == 862664
    assert record.weight_bytes == 4 * record.parameters
    assert record.weights_file_bytes == (folder / WEIGHTS_NAME).stat().st_size
    assert record.nodes["MatMul"] == 31
    assert sorted(path.name for path in tmp_path.iterdir()) == ["graph"]


def test_the_same_spec_gives_the_same_bytes(build_graph: BuildGraph):
    first, record = build_graph(precision="bf16")
    second, again = build_graph(precision="bf16")
    assert record == again
    for name in (GRAPH_NAME, WEIGHTS_NAME):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_weights_in_the_file_are_the_checkpoint_s(build_graph: BuildGraph):
    onnx = pytest.importorskip("onnx", reason="reads the graph")
    safetensors = pytest.importorskip("safetensors.numpy", reason="reads the checkpoint")
    folder, record = build_graph()
    source = safetensors.load_file(embedded_checkpoint_path() / "model.safetensors")
    bare = {name.removeprefix("backbone.").removeprefix("model."): source[name] for name in source}
    model = onnx.load(folder / GRAPH_NAME)
    found = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for slot in weight_slots(record.spec):
        expected = bare[slot.source].T if slot.is_transposed else bare[slot.source]
        if slot.is_decay:
            np.testing.assert_allclose(found[slot.name], -np.exp(expected), rtol=1e-6)
        else:
            np.testing.assert_array_equal(found[slot.name], expected)


def test_a_graph_that_is_there_is_kept(build_graph: BuildGraph, monkeypatch: pytest.MonkeyPatch):
    folder, record = build_graph()
    before = (folder / WEIGHTS_NAME).stat().st_mtime_ns
    _, again = build_graph(folder)
    assert again == record
    assert (folder / WEIGHTS_NAME).stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *((name, how) for name in (GRAPH_NAME, WEIGHTS_NAME) for how in ("cut", "altered", "gone")),
        (RECORD_NAME, "cut"),
        (RECORD_NAME, "gone"),
    ],
)
def test_a_damaged_graph_is_built_again(build_graph: BuildGraph, name: str, damage: str):
    folder, record = build_graph()
    data = (folder / name).read_bytes()
    if damage == "gone":
        (folder / name).unlink()
    else:
        middle = len(data) // 2
        altered = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        (folder / name).write_bytes(data[:-3] if damage == "cut" else altered)
    _, again = build_graph(folder)
    assert again == record
    assert (folder / name).read_bytes() == data


def test_another_spec_replaces_it(build_graph: BuildGraph):
    folder, first = build_graph(precision="bf16")
    _, second = build_graph(folder, precision="fp16")
    assert second.spec.precision == "fp16"
    assert second.key != first.key
    assert read_document(folder / RECORD_NAME, GraphRecord) == second


def test_ctrl_c_leaves_nothing(small_spec: GraphSpec, tmp_path: Path):
    pytest.importorskip("onnx", reason="graphs are written with onnx")
    with pytest.raises(KeyboardInterrupt):
        ensure_graph(tmp_path / "graph", small_spec, Stopping(), SILENT)
    assert not list(tmp_path.iterdir())


def test_what_a_killed_run_left_is_removed(tiny_graph: tuple[Path, GraphRecord]):
    folder, record = tiny_graph
    leftover = folder.with_name(".graph-building")
    leftover.mkdir()
    (leftover / WEIGHTS_NAME).write_bytes(b"half")
    shutil.rmtree(folder)
    assert ensure_graph(folder, record.spec, RandomWeights(), SILENT) == record
    assert not leftover.exists()


def test_a_full_disk_is_told_before_anything_is_written(
    small_spec: GraphSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("onnx", reason="graphs are written with onnx")
    monkeypatch.setattr(graph_module, "_SPARE_BYTES", 2**62)
    with pytest.raises(EnvironmentUnfit, match="not enough space"):
        ensure_graph(tmp_path / "graph", small_spec, RandomWeights(), SILENT)


def test_shards_other_spellings_and_tied_embeddings(
    random_checkpoints, tmp_path: Path, build_graph: BuildGraph
):
    writing = random_checkpoints.RandomCheckpoint(shards=3, stored="BF16", is_tied=True)
    folder, record = build_graph(source=writing.write(tmp_path / "tied"), precision="bf16")
    assert record.spec.shape.is_embedding_tied
    assert record.parameters == record.spec.shape.parameters
    assert folder.is_dir()


def test_random_numbers_are_the_same_for_the_same_seed(small_spec: GraphSpec):
    slots = [slot for slot in weight_slots(small_spec) if slot.is_transposed][:2]
    first, second = ([next(RandomWeights(7).blocks(slot)) for slot in slots] for _ in range(2))
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    assert (first[0][:64] != first[1][:64]).any()
    assert (next(RandomWeights(8).blocks(slots[0])) != first[0]).any()
    assert 0.015 < float(np.std(first[0])) < 0.025


def test_only_the_first_layers(build_graph: BuildGraph):
    _, record = build_graph(layers=4)
    assert record.spec.shape.pattern == "M-M*"
    assert record.nodes["ScatterElements"] == 2


def test_a_gguf_file_is_refused(tmp_path: Path, real_4b_gguf: Path):
    with (
        pytest.raises(CheckpointUnusable, match="built from safetensors only"),
        open_weights(open_checkpoint(real_4b_gguf), SILENT),
    ):
        pass


def test_a_missing_package_is_named(
    small_spec: GraphSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(EnvironmentUnfit, match="package onnx is missing") as caught:
        ensure_graph(tmp_path / "graph", small_spec, RandomWeights(), SILENT)
    assert "trt-nemotron[compile]" in caught.value.next_step
    assert not (tmp_path / "graph").exists()


def test_batch_is_a_name_only_where_it_may_vary(build_graph: BuildGraph):
    onnx = pytest.importorskip("onnx", reason="reads the graph")
    for batch, expected in ((1, 1), (4, "batch")):
        folder, _ = build_graph(max_batch_size=batch, precision="bf16")
        model = onnx.load(folder / GRAPH_NAME, load_external_data=False)
        first = model.graph.input[0].type.tensor_type.shape.dim[0]
        assert (first.dim_param or first.dim_value) == expected


def test_the_record_refuses_an_unknown_key(tiny_graph: tuple[Path, GraphRecord]):
    folder, record = tiny_graph
    tree = {**msgspec.to_builtins(record), "speed": 1}
    (folder / RECORD_NAME).write_bytes(msgspec.json.encode(tree))
    assert ensure_graph(folder, record.spec, RandomWeights(), SILENT) == record
