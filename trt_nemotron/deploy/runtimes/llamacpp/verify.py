"""Proof that a written GGUF file holds the checkpoint: read back, number by number."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trt_nemotron.deploy.runtimes.llamacpp.converted_tensor import ConvertedTensor
from trt_nemotron.deploy.runtimes.llamacpp.tensor_source import Floats
from trt_nemotron.errors import CheckpointUnusable
from trt_nemotron.progress import Progress

if TYPE_CHECKING:
    from gguf import ReaderTensor

_Q8_0_BLOCK = 32
_F16_HALF_STEP = 2.0**-25
_BF16_HALF_STEP = 2.0**-134
"""Half the distance of the smallest numbers of each type: the error of those near zero."""


def verify_file(path: Path, expected: list[ConvertedTensor], progress: Progress) -> None:
    """Compare every tensor in `path` with what it was converted from.

    Raises:
        CheckpointUnusable: a tensor is missing, added, of another type or shape, or differs from
            its source by more than its storage type explains; the file must not be used.
    """
    import gguf

    progress.phase("reading the file back")
    found = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    names = {tensor.conversion.target for tensor in expected}
    if found.keys() != names:
        raise _wrong(path, f"tensors missing or added: {sorted(found.keys() ^ names)[:5]}")
    total, done = sum(tensor.nbytes for tensor in expected), 0
    for tensor in expected:
        _compare(path, tensor, found[tensor.conversion.target])
        done += tensor.nbytes
        progress.step(done, total, "B")


def rounding_bound(values: Floats, storage: str) -> Floats:
    """How far each number may be from itself after storing, by the definition of the type.

    F16 and BF16 keep 11 and 8 significant bits. Q8_0 stores 32 numbers as a f16 scale, the largest
    over 127, and integers: half a scale of rounding, and the scale's own rounding times 127.
    """
    size = np.abs(values)
    if storage == "F16":
        bound = size * 2.0**-11 + _F16_HALF_STEP
    elif storage == "BF16":
        bound = size * 2.0**-8 + _BF16_HALF_STEP
    elif storage == "Q8_0":
        largest = size.reshape(-1, _Q8_0_BLOCK).max(axis=1).repeat(_Q8_0_BLOCK)
        bound = largest * (1 / 254 + 2.0**-11) + 127 * _F16_HALF_STEP
    else:
        bound = np.zeros_like(size)
    # what computing the comparison itself in f32 may add
    return (bound * (1 + 2.0**-10)).astype(np.float32)


def _compare(path: Path, expected: ConvertedTensor, found: "ReaderTensor") -> None:
    import gguf

    name = expected.conversion.target
    dimensions = tuple(int(size) for size in found.shape)
    if (found.tensor_type, dimensions) != (expected.storage.number, expected.dimensions):
        raise _wrong(path, f"{name} is {found.tensor_type.name} {dimensions}")
    rows = found.data.reshape(-1, found.data.shape[-1])
    row = 0
    for block in expected.values():
        count = block.size // expected.dimensions[0]
        stored = gguf.quants.dequantize(rows[row : row + count], found.tensor_type).reshape(-1)
        row += count
        excess = np.abs(stored - block.reshape(-1)) - rounding_bound(
            block.reshape(-1), expected.storage.name
        )
        worst = int(np.argmax(excess)) if excess.size else 0
        if excess.size and not excess[worst] <= 0:
            raise _wrong(path, f"{name}: wrote {block.flat[worst]!s}, found {stored[worst]!s}")


def _wrong(path: Path, evidence: str) -> CheckpointUnusable:
    return CheckpointUnusable(
        f"{path.name} is not what was to be written",
        evidence=evidence,
        next_step="Build again; if it happens twice, check this machine's disk and memory.",
    )
