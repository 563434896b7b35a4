"""Tensors of a safetensors checkpoint as blocks of f32 numbers, without torch.

Files are mapped, not read: a block is turned into f32 only when it is asked for, so a checkpoint
of any size passes through a few megabytes. NumPy has no bfloat16; its bits are the upper half of
an f32, which is how it is read here.
"""

import mmap
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from trt_nemotron.deploy.checkpoint.safetensors_header import read_safetensors_header
from trt_nemotron.errors import CheckpointUnusable

if TYPE_CHECKING:
    from typing_extensions import Self

Floats = npt.NDArray[np.float32]

BLOCK_ELEMENTS = 4 * 1024 * 1024
"""Numbers turned into f32 at a time: 16 MiB."""

_ITEM_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
_LENGTH_BYTES = 8


@dataclass(frozen=True, slots=True)
class MappedTensor:
    """One tensor where it lies in its mapped file."""

    storage: str
    shape: tuple[int, ...]
    data: memoryview

    def blocks(self, row_elements: int) -> Iterator[Floats]:
        """All numbers in order, as f32, in blocks of whole rows of `row_elements`."""
        step = max(BLOCK_ELEMENTS // row_elements, 1) * row_elements
        item = _ITEM_BYTES[self.storage]
        for start in range(0, len(self.data) // item, step):
            yield _to_f32(self.data[start * item : (start + step) * item], self.storage)


class TensorSource:
    """Every tensor of the given safetensors files, by name. A context manager."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files
        self._stack = ExitStack()
        self._tensors: dict[str, MappedTensor] = {}

    def __enter__(self) -> "Self":
        """Map the files.

        Raises:
            CheckpointUnusable: a file is damaged, or a tensor is stored in a type that holds no
                plain numbers (FP8 and NVFP4 mean nothing without their scales).
        """
        try:
            for path in self._files:
                self._tensors.update(self._read(path))
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A map is freed with its last view, which NumPy may still hold.
        self._tensors.clear()
        self._stack.close()

    def names(self) -> set[str]:
        """Names as the files have them."""
        return set(self._tensors)

    def tensor(self, name: str) -> MappedTensor:
        """The tensor called `name`; `KeyError` when there is none."""
        return self._tensors[name]

    def _read(self, path: Path) -> Iterator[tuple[str, MappedTensor]]:
        header = read_safetensors_header(path)
        file = self._stack.enter_context(path.open("rb"))
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        body = data[_LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "little") :]
        for tensor in header:
            if tensor.storage not in _ITEM_BYTES:
                raise _unreadable(path, tensor.name, tensor.storage)
            yield (
                tensor.name,
                MappedTensor(tensor.storage, tensor.shape, body[tensor.start : tensor.end]),
            )


def _to_f32(data: memoryview, storage: str) -> Floats:
    if storage == "BF16":
        upper_halves = np.frombuffer(data, "<u2").astype(np.uint32)
        return cast("Floats", (upper_halves << np.uint32(16)).view(np.float32))
    kind = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}[storage]
    return np.frombuffer(data, kind).astype(np.float32)


def _unreadable(path: Path, name: str, storage: str) -> CheckpointUnusable:
    return CheckpointUnusable(
        f"{name} is stored as {storage}, which cannot be converted",
        evidence=f"{path.name}: types that can be read are {', '.join(_ITEM_BYTES)}",
        next_step="Use the BF16 checkpoint of the same model, or its published GGUF file.",
    )
