"""A graph on disk: `model.onnx`, its weights beside it, and a record of what both are.

The folder appears whole or not at all, and one that is there already is used again if it is of the
same spec, the same numbers and the same version of this package, and still has the hashes it had.
"""

import shutil
from pathlib import Path
from typing import ClassVar

from trt_nemotron import __version__
from trt_nemotron.deploy.bundle.hashing import HashMeter
from trt_nemotron.deploy.compile.graph_check import check_graph
from trt_nemotron.deploy.compile.network import build_network
from trt_nemotron.deploy.compile.spec import GraphSpec, weight_slots
from trt_nemotron.deploy.compile.weight_file import write_weights
from trt_nemotron.deploy.compile.weights import WeightSource
from trt_nemotron.document import Document, read_document, sha256_of, write_document
from trt_nemotron.errors import EnvironmentUnfit, InvalidInput
from trt_nemotron.progress import Progress

GRAPH_NAME = "model.onnx"
WEIGHTS_NAME = "model.onnx.data"
RECORD_NAME = "graph.json"
_BUILDING = ".graph-building"
_SPARE_BYTES = 64 * 1024 * 1024


class GraphRecord(Document, frozen=True, kw_only=True):
    """What a graph's folder holds.

    Attributes:
        source: the identity of the numbers.
        nodes: of the graph, by operator.
        weight_bytes: of the network's numbers, without padding.
        key: of everything that the graph follows from.
    """

    SCHEMA: ClassVar[str] = "trt-nemotron/graph/1"

    spec: GraphSpec
    source: str
    nodes: dict[str, int]
    parameters: int
    weight_bytes: int
    graph_sha256: str
    weights_sha256: str
    weights_file_bytes: int
    key: str

    @property
    def content_sha256(self) -> str:
        """One hash for the graph and its weights."""
        return sha256_of((self.graph_sha256, self.weights_sha256))


def ensure_graph(
    folder: Path, spec: GraphSpec, source: WeightSource, progress: Progress
) -> GraphRecord:
    """Build the graph of `spec` into `folder` and check it, or find that it is there.

    Raises:
        CheckFailed: the graph built is not what the architecture demands: a defect of ours.
        CheckpointUnusable: a number does not fit into the precision.
        EnvironmentUnfit: a package or disk space is missing.
        OSError: as the system says; what was begun is removed.
    """
    key = _key(spec, source)
    existing = _intact(folder, key, progress)
    if existing is not None:
        progress.note(f"graph is there already: {folder}")
        return existing
    _require_onnx()
    slots = weight_slots(spec)
    weight_bytes = sum(slot.size_bytes for slot in slots)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _require_space(folder.parent, weight_bytes + _SPARE_BYTES)
    building = folder.with_name(_BUILDING)
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    try:
        record = _write(building, spec, source, key, progress)
        shutil.rmtree(folder, ignore_errors=True)
        building.rename(folder)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    return record


def _write(
    folder: Path, spec: GraphSpec, source: WeightSource, key: str, progress: Progress
) -> GraphRecord:
    slots = weight_slots(spec)
    written = write_weights(folder / WEIGHTS_NAME, slots, source, progress)
    model = build_network(spec, WEIGHTS_NAME, written.offsets)
    # protobuf promises no order of maps; a graph has none, so the same spec gives the same bytes.
    (folder / GRAPH_NAME).write_bytes(model.SerializeToString(deterministic=True))
    progress.phase("checking the graph")
    checked = check_graph(folder / GRAPH_NAME, spec)
    record = GraphRecord(
        spec=spec,
        source=source.identity,
        nodes=checked.nodes,
        parameters=checked.parameters,
        weight_bytes=checked.weight_bytes,
        graph_sha256=HashMeter(progress, 0).sha256(folder / GRAPH_NAME),
        weights_sha256=written.sha256,
        weights_file_bytes=written.size_bytes,
        key=key,
    )
    write_document(folder / RECORD_NAME, record)
    return record


def _key(spec: GraphSpec, source: WeightSource) -> str:
    return sha256_of({"spec": spec, "source": source.identity, "version": __version__})


def _recorded(folder: Path, key: str) -> GraphRecord | None:
    try:
        record = read_document(folder / RECORD_NAME, GraphRecord)
    except InvalidInput:  # none there, or one of another version: it is built again
        return None
    return record if record.key == key else None


def _intact(folder: Path, key: str, progress: Progress) -> GraphRecord | None:
    record = _recorded(folder, key)
    graph, weights = folder / GRAPH_NAME, folder / WEIGHTS_NAME
    if record is None or not graph.is_file() or not weights.is_file():
        return None
    progress.phase("verifying the graph that is there")
    meter = HashMeter(progress, graph.stat().st_size + weights.stat().st_size)
    found = (meter.sha256(graph), meter.sha256(weights))
    return record if found == (record.graph_sha256, record.weights_sha256) else None


def _require_onnx() -> None:
    try:
        import onnx  # noqa: F401
    except ImportError as fault:
        raise EnvironmentUnfit(
            "the package onnx is missing, which graphs are written with",
            evidence=str(fault),
            next_step="Install it: pip install 'trt-nemotron[compile]'",
        ) from fault


def _require_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise EnvironmentUnfit(
            f"not enough space in {folder}",
            evidence=f"{needed:,} bytes needed, {free:,} free",
            next_step="Free some space, or choose another folder with --out.",
        )
