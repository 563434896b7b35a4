"""A tensor on its way from a checkpoint into a GGUF file, block by block."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
import numpy.typing as npt

from trt_nemotron.deploy.checkpoint.ggml_types import GgmlType
from trt_nemotron.deploy.runtimes.llamacpp.tensor_names import Conversion
from trt_nemotron.deploy.runtimes.llamacpp.tensor_source import Floats, MappedTensor
from trt_nemotron.errors import CheckpointUnusable

_F16_LARGEST = 65504.0
_Q8_0_NOTHING = 2.0**-30


@dataclass(frozen=True, slots=True)
class ConvertedTensor:
    """One tensor to be written.

    Attributes:
        dimensions: as GGUF writes them, the row length first.
    """

    conversion: Conversion
    stored: MappedTensor
    dimensions: tuple[int, ...]
    storage: GgmlType

    @property
    def nbytes(self) -> int:
        """Bytes in the file, padding not counted."""
        return self.storage.size_bytes(int(np.prod(self.dimensions, dtype=np.int64)))

    def values(self) -> Iterator[Floats]:
        """The numbers llama.cpp shall work with, before rounding to their storage type.

        Raises:
            CheckpointUnusable: a number that is not finite or too large for the storage type.
        """
        for block in self.stored.blocks(self.dimensions[0]):
            numbers = _decay_rate(block) if self.conversion.transform == "decay_rate" else block
            self._check(numbers)
            yield numbers

    def tofile(self, file: IO[bytes]) -> None:
        """Write every block as stored; the name is the one `gguf` calls."""
        for block in self.values():
            file.write(encode(block.reshape(-1, self.dimensions[0]), self.storage).tobytes())

    def _check(self, numbers: Floats) -> None:
        largest = float(np.max(np.abs(numbers), initial=0.0))
        if not np.isfinite(largest):
            raise CheckpointUnusable(
                f"{self.conversion.source} holds numbers that are not finite",
                next_step="The checkpoint is damaged or its training diverged; use another one.",
            )
        # Q8_0 stores one f16 scale a block, of which the largest number is 127 times.
        limit = {"F16": _F16_LARGEST, "Q8_0": 127 * _F16_LARGEST}.get(self.storage.name)
        if limit is not None and largest > limit:
            raise CheckpointUnusable(
                f"{self.conversion.source} does not fit into {self.storage.name}",
                evidence=f"its largest number is {largest:g}, the type ends at {limit:g}",
                next_step="Build with --precision f32.",
            )


def encode(rows: Floats, storage: GgmlType) -> npt.NDArray[np.generic]:
    """Rows of numbers as a file stores them."""
    import gguf

    if storage.name == "Q8_0":
        # A block of such small numbers has a scale of zero in f16, and elsewhere they round to
        # zero: no stored value changes, and gguf need not divide by next to nothing.
        rows = np.where(np.abs(rows) < _Q8_0_NOTHING, np.float32(0), rows)
    encoded: npt.NDArray[np.generic] = gguf.quants.quantize(
        rows, gguf.GGMLQuantizationType(storage.number)
    )
    return encoded


def _decay_rate(log: Floats) -> Floats:
    """-exp(A_log); by way of f64, so that every machine's library rounds to the same f32."""
    return (-np.exp(log.astype(np.float64))).astype(np.float32)
