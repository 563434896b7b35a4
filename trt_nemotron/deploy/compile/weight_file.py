"""The file of a graph's weights: one after the other, each from a page's start, hashed on the way.

Format: https://github.com/onnx/onnx/blob/main/docs/ExternalData.md
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from trt_nemotron.deploy.compile.elements import encode, storage_dtype
from trt_nemotron.deploy.compile.spec import WeightSlot
from trt_nemotron.deploy.compile.weights import WeightSource
from trt_nemotron.progress import Progress

if TYPE_CHECKING:
    import numpy.typing as npt

_PAGE = 4096


@dataclass(frozen=True, slots=True)
class WeightFile:
    """What was written: the offset of every weight by name, and the file's hash and size."""

    offsets: dict[str, int]
    sha256: str
    size_bytes: int


def write_weights(
    path: Path, slots: Sequence[WeightSlot], source: WeightSource, progress: Progress
) -> WeightFile:
    """Write every slot into `path`; at no time is more than one tensor in memory.

    Raises:
        CheckpointUnusable: a number does not fit into the precision.
        OSError: as the system says; half a file may stay.
    """
    progress.phase("writing the graph's weights")
    digest, offsets, end = hashlib.sha256(), {}, 0
    total = sum(slot.size_bytes for slot in slots)
    with path.open("wb") as file:
        for slot in slots:
            end += _write(file, digest, bytes(-end % _PAGE))
            offsets[slot.name] = end
            end += _write(file, digest, _numbers(slot, source).data)
            progress.step(min(end, total), total, "B")
    return WeightFile(offsets, digest.hexdigest(), end)


def _write(file: IO[bytes], digest: Any, data: "bytes | memoryview") -> int:
    view = memoryview(data).cast("B") if len(data) else memoryview(b"")
    digest.update(view)
    file.write(view)
    return view.nbytes


def _numbers(slot: WeightSlot, source: WeightSource) -> "npt.NDArray[Any]":
    """The slot's numbers in its dimensions and its storage."""
    import numpy as np

    if slot.is_decay:
        return np.concatenate([-np.exp(block) for block in source.blocks(slot)])
    target = np.empty(slot.dimensions, dtype=storage_dtype(slot.element))
    if not slot.is_transposed:
        flat, start = target.reshape(-1), 0
        for block in source.blocks(slot):
            flat[start : start + block.size] = encode(block, slot.element, slot.source)
            start += block.size
        return target
    width, start = slot.dimensions[0], 0
    for block in source.blocks(slot):
        rows = encode(block, slot.element, slot.source).reshape(-1, width)
        target[:, start : start + len(rows)] = rows.T
        start += len(rows)
    return target
