"""The header of a safetensors file: names, storage types, shapes and places of its tensors.

Why not the `safetensors` library: opening a file with it imports numpy, which alone doubles the
start of `trt-nemotron plan`, and its errors do not say which tensor is wrong. A test holds both
readers equal. Format: https://github.com/huggingface/safetensors#format
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trt_nemotron.errors import CheckpointUnusable

_ELEMENT_BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1,
    "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
}  # fmt: skip
_LENGTH_BYTES = 8
_LONGEST_HEADER = 100_000_000
"""The library's own limit."""


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """One tensor of a file; `start` and `end` count from the end of the header."""

    name: str
    storage: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def size_bytes(self) -> int:
        """Bytes as stored."""
        return self.end - self.start

    @property
    def elements(self) -> int:
        """Number of elements."""
        return self.size_bytes // _ELEMENT_BYTES[self.storage]


class _Malformed(Exception):
    """Something in the bytes is not as the format says; the message is the evidence."""


def read_safetensors_header(path: Path) -> tuple[StoredTensor, ...]:
    """Every tensor of the file at `path`, in the order of its data, which is not read.

    Raises:
        CheckpointUnusable: unreadable, not a safetensors file, damaged, or cut short.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = _header_length(file.read(_LENGTH_BYTES), size)
            return _tensors(file.read(length), size - _LENGTH_BYTES - length)
    except OSError as fault:
        raise CheckpointUnusable(
            f"cannot read {path}",
            evidence=fault.strerror or str(fault),
            next_step="Check the path and its permissions.",
        ) from fault
    except _Malformed as fault:
        raise CheckpointUnusable(
            f"{path} is not a whole safetensors file",
            evidence=str(fault),
            next_step="Download it again, and compare its size and SHA-256 with the publisher's.",
        ) from fault


def _header_length(start: bytes, file_bytes: int) -> int:
    length = int.from_bytes(start, "little")
    if len(start) < _LENGTH_BYTES or not 2 <= length <= _LONGEST_HEADER:
        raise _Malformed(f"{file_bytes} bytes that do not start with a header's length")
    if _LENGTH_BYTES + length > file_bytes:
        raise _Malformed(
            f"cut short within its header: {_LENGTH_BYTES + length} bytes of header, "
            f"{file_bytes} bytes in all"
        )
    return length


def _tensors(header: bytes, data_bytes: int) -> tuple[StoredTensor, ...]:
    entries = _parse(header)
    metadata = entries.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(it, str) for it in metadata.values()):
        raise _Malformed("its __metadata__ is not a map of texts")
    tensors = sorted(
        (_tensor(name, entry) for name, entry in entries.items()),
        key=lambda tensor: (tensor.start, tensor.end),
    )
    end = 0
    for tensor in tensors:
        if tensor.start != end:
            raise _Malformed(f"data of tensor {tensor.name!r} does not follow the one before it")
        end = tensor.end
    if end > data_bytes:
        raise _Malformed(f"cut short: its tensors need {end} bytes, {data_bytes} are there")
    if end < data_bytes:
        raise _Malformed(f"{data_bytes - end} bytes after its last tensor belong to nothing")
    return tuple(tensors)


def _parse(header: bytes) -> dict[str, Any]:
    try:
        entries = json.loads(header, object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError) as fault:
        raise _Malformed(f"its header is not JSON: {fault}") from fault
    if not isinstance(entries, dict):
        raise _Malformed("its header is not a JSON object")
    return entries


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise _Malformed("its header names a tensor twice")
    return entries


def _tensor(name: str, entry: object) -> StoredTensor:
    if not isinstance(entry, dict):
        raise _Malformed(f"tensor {name!r} is not described by an object")
    storage: Any = entry.get("dtype")
    shape: Any = entry.get("shape")
    place: Any = entry.get("data_offsets")
    if not isinstance(storage, str) or storage not in _ELEMENT_BYTES:
        raise _Malformed(f"tensor {name!r} has storage type {storage!r}, which is not known")
    if not _are_sizes(shape) or not _are_sizes(place) or len(place) != 2:
        raise _Malformed(f"tensor {name!r} has shape {shape!r} and place {place!r}")
    elements = 1
    for dimension in shape:
        elements *= dimension
    if place[1] - place[0] != elements * _ELEMENT_BYTES[storage]:
        raise _Malformed(
            f"tensor {name!r} is {storage} {shape} and takes {place[1] - place[0]} bytes"
        )
    return StoredTensor(name, storage, tuple(shape), place[0], place[1])


def _are_sizes(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, int) and not isinstance(item, bool) and item >= 0 for item in value
    )
