"""Hold the weights in an exported graph against those of the checkpoint, number by number.

    watched.py compare_weights:main GRAPH_FOLDER CHECKPOINT RESULT.json

A tensor that the exporter did not find in the checkpoint it leaves as memory happens to be, and
ends with exit code 0. Tensors are told apart by name; one of equal content may stand for another.
"""

import hashlib
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from execution import read_embeddings, read_raw
from onnx import TensorProto

Array = Any
_PREFIX = "_model."
_COPY = re.compile(r"__dup\d+$")
_COMPUTED = ("A_log",)
"""Of these the graph holds something computed (-exp)."""
_SCALES = ("_scale", "_scale_2")
"""Which of these a kernel takes is its own affair: they are compared where they are there."""
_FLOATS: dict[int, Any] = {TensorProto.FLOAT: np.float32, TensorProto.FLOAT16: np.float16}


@dataclass(frozen=True)
class Stored:
    """A tensor of the checkpoint: its type and where its bytes are."""

    kind: str
    path: Path
    start: int
    end: int

    def read(self) -> Array:
        """Its bytes, mapped."""
        if self.start == self.end:
            return np.zeros(0, np.uint8)
        return np.memmap(self.path, np.uint8, "r", self.start, (self.end - self.start,))

    def values(self, type_: Any) -> Array:
        """Its numbers, rounded to a floating type."""
        raw = self.read()
        if self.kind == "BF16":
            return (raw.view("<u2").astype("<u4") << 16).view("<f4").astype(type_)
        return raw.view({"F32": "<f4", "F16": "<f2"}[self.kind]).astype(type_)


def main() -> int:
    """Write what differs; nothing is judged here."""
    graph, checkpoint, result = map(Path, sys.argv[1:])
    result.write_text(json.dumps(compare(graph, checkpoint)), encoding="utf-8")
    return 0


def compare(graph: Path, checkpoint: Path) -> dict[str, Any]:
    """Names of tensors that have other numbers in the graph, and of those it does not hold."""
    stored = dict(read_headers(checkpoint))
    model = onnx.load(str(graph / "model.onnx"), load_external_data=False)
    other: list[str] = []
    held: set[str] = set()
    for tensor in model.graph.initializer:
        name = _COPY.sub("", tensor.name.removeprefix(_PREFIX))
        if name in stored:
            held.add(name)
            if not _is_same(read_raw(graph, tensor), tensor.data_type, stored[name]):
                other.append(name)
    table = next(name for name in stored if name.endswith("embeddings.weight"))
    held.add(table)
    embeddings = read_embeddings(graph).ravel()
    if not _are_equal(embeddings, stored[table].values(embeddings.dtype)):
        other.append(table)
    return {"compared": len(held), "other": sorted(other), "missing": _missing(stored, held)}


def read_headers(folder: Path) -> Iterator[tuple[str, Stored]]:
    """Every tensor of a checkpoint, by name."""
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
        for name, entry in header.items():
            if name != "__metadata__":
                start, end = (8 + length + it for it in entry["data_offsets"])
                yield name, Stored(entry["dtype"], path, start, end)


def _is_same(raw: Array, kind: int, stored: Stored) -> bool:
    type_ = _FLOATS.get(kind)
    if type_ is None:  # FP8 and packed FP4: the bytes themselves
        return _are_equal(raw, stored.read())
    if stored.kind not in {"F32", "F16", "BF16"}:
        return False
    return _are_equal(raw.view(type_), stored.values(type_))


def _are_equal(left: Array, right: Array) -> bool:
    return left.size == right.size and bool(np.array_equal(left, right))


def _missing(stored: dict[str, Stored], held: set[str]) -> list[str]:
    """Those that the graph has neither by name nor, where two are equal, by content."""
    absent = [
        name for name in stored if name not in held and not name.endswith((*_COMPUTED, *_SCALES))
    ]
    if not absent:
        return []
    there = {_digest(stored[name]) for name in held}
    return sorted(name for name in absent if _digest(stored[name]) not in there)


def _digest(stored: Stored) -> str:
    return hashlib.sha256(stored.read()).hexdigest()
