"""The header of a GGUF file: its metadata and the table of its tensors, read strictly.

Why not `gguf.GGUFReader`: it makes a numpy view of every string, and a file with the real model's
131,072 tokens and 269,443 merges took it 13.2 s here (gguf 0.19.0), against 0.2 s for this module;
it also belongs to an optional extra, while planning must work without. Format:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, little endian).

Every length is checked against the size of the file before it is believed.
"""

import mmap
import struct
from dataclasses import dataclass, field
from pathlib import Path

from trt_nemotron.deploy.checkpoint.ggml_types import GGML_TYPES, GgmlType
from trt_nemotron.errors import CheckpointUnusable

Scalar = int | float | bool | str
MetadataValue = Scalar | tuple[int | float | bool, ...]

_MAGIC = b"GGUF"
_STRING, _ARRAY = 8, 9
_SCALARS = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")
_MOST_DIMENSIONS = 4
_LONGEST_KEPT_ARRAY = 4096
_DEFAULT_ALIGNMENT = 32


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """One tensor: dimensions with the row length first, offset from the start of the data."""

    name: str
    dimensions: tuple[int, ...]
    storage: GgmlType
    offset: int
    elements: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What a GGUF file says of itself.

    Attributes:
        metadata: scalars and short arrays of numbers; long arrays and arrays of strings (the
            vocabulary) are not kept.
        array_lengths: the length of every array, kept or not.
        data_offset: where the data of the first tensor starts.
    """

    version: int
    metadata: dict[str, MetadataValue]
    array_lengths: dict[str, int]
    tensors: tuple[GgufTensor, ...]
    data_offset: int
    file_bytes: int


class MalformedGguf(Exception):
    """Something in the bytes is not as the format says; the message is the evidence."""


def read_gguf_header(path: Path) -> GgufHeader:
    """Read and check the header of the file at `path`; its tensors' data is not touched.

    Raises:
        CheckpointUnusable: not a GGUF, an old or big-endian one, damaged, or cut short.
    """
    try:
        with path.open("rb") as file:
            if file.seek(0, 2) == 0:  # which cannot be mapped
                return parse_gguf_header(b"")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
                return parse_gguf_header(view)
    except OSError as fault:
        raise CheckpointUnusable(
            f"cannot read {path}",
            evidence=fault.strerror or str(fault),
            next_step="Check the path and its permissions.",
        ) from fault
    except MalformedGguf as fault:
        raise CheckpointUnusable(
            f"{path} is not a GGUF file that can be used",
            evidence=str(fault),
            next_step="Download or convert it again, and compare its size and SHA-256 with the "
            "publisher's.",
        ) from fault


def parse_gguf_header(view: mmap.mmap | bytes) -> GgufHeader:
    """The header at the start of `view`, which is the whole file.

    Raises:
        MalformedGguf: something is not as the format says.
    """
    return _Cursor(view).header()


@dataclass(slots=True)
class _Cursor:
    """A place in the bytes; every step forward is checked against their end."""

    view: mmap.mmap | bytes
    at: int = 0
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = len(self.view)

    def header(self) -> GgufHeader:
        version = self._version()
        tensor_count, pair_count = self._u64("tensor count"), self._u64("metadata count")
        metadata: dict[str, MetadataValue] = {}
        lengths: dict[str, int] = {}
        for _ in range(self._plausible(pair_count, 12, "metadata pairs")):
            key = self._string("a metadata key")
            if key in metadata or key in lengths:
                raise MalformedGguf(f"metadata key {key!r} stands twice")
            kind = self._u32(f"type of {key}")
            if kind == _ARRAY:
                lengths[key] = self._array(key, metadata)
            else:
                metadata[key] = self._scalar(kind, key)
        infos = [
            self._tensor() for _ in range(self._plausible(tensor_count, 24, "tensor descriptions"))
        ]
        alignment = _alignment(metadata)
        data_offset = -(-self.at // alignment) * alignment
        _check_tensors(infos, alignment, self.size - data_offset)
        return GgufHeader(version, metadata, lengths, tuple(infos), data_offset, self.size)

    def _version(self) -> int:
        magic = bytes(self._take(4, "magic number"))
        if magic != _MAGIC:
            raise MalformedGguf(f"it starts with {magic!r}, a GGUF starts with {_MAGIC!r}")
        version = self._u32("version")
        if version in {2, 3}:
            return version
        if version & 0xFFFF == 0:
            raise MalformedGguf("it is big endian; only little-endian files can be served here")
        raise MalformedGguf(f"it is GGUF version {version}; versions 2 and 3 are read")

    def _scalar(self, kind: int, key: str) -> Scalar:
        if kind == _STRING:
            return self._string(key)
        value: Scalar = self._unpack(self._struct_of(kind, key), key)
        return value

    def _array(self, key: str, metadata: dict[str, MetadataValue]) -> int:
        kind, count = self._u32(f"type of {key}"), self._u64(f"length of {key}")
        if kind == _STRING:
            self._skip_strings(self._plausible(count, 8, key), key)
            return count
        form = self._struct_of(kind, key)
        data = self._take(self._plausible(count, form.size, key) * form.size, key)
        if count <= _LONGEST_KEPT_ARRAY:
            metadata[key] = tuple(item for (item,) in form.iter_unpack(data))
        return count

    def _skip_strings(self, count: int, key: str) -> None:
        """The vocabulary has hundreds of thousands: no call and no copy for each."""
        view, at, size, unpack = self.view, self.at, self.size, _U64.unpack_from
        for _ in range(count):
            if at + 8 > size:
                raise MalformedGguf(f"the file ends inside {key}")
            at += 8 + unpack(view, at)[0]
        if at > size:
            raise MalformedGguf(f"the file ends inside {key}")
        self.at = at

    def _tensor(self) -> GgufTensor:
        name = self._string("a tensor's name")
        count = self._u32(f"dimensions of {name}")
        if not 1 <= count <= _MOST_DIMENSIONS:
            raise MalformedGguf(f"tensor {name!r} has {count} dimensions")
        dimensions = tuple(self._u64(f"dimensions of {name}") for _ in range(count))
        number, offset = self._u32(f"type of {name}"), self._u64(f"offset of {name}")
        storage = GGML_TYPES.get(number)
        if storage is None:
            raise MalformedGguf(f"tensor {name!r} has storage type {number}, which is not known")
        return _sized(name, dimensions, storage, offset)

    def _struct_of(self, kind: int, key: str) -> struct.Struct:
        form = _SCALARS.get(kind)
        if form is None:
            raise MalformedGguf(f"metadata {key!r} has value type {kind}, which is not known")
        return form

    def _string(self, what: str) -> str:
        data = bytes(self._take(self._u64(f"length of {what}"), what))
        try:
            return data.decode()
        except UnicodeDecodeError as fault:
            raise MalformedGguf(f"{what} is not UTF-8: {data[:40]!r}") from fault

    def _plausible(self, count: int, least_bytes: int, what: str) -> int:
        """`count` if that many things of at least `least_bytes` fit into the rest of the file."""
        if count * least_bytes > self.size - self.at:
            raise MalformedGguf(
                f"it announces {count} x {what}, more than its {self.size} bytes can hold"
            )
        return count

    def _u32(self, what: str) -> int:
        return int(self._unpack(_U32, what))

    def _u64(self, what: str) -> int:
        return int(self._unpack(_U64, what))

    def _unpack(self, form: struct.Struct, what: str) -> int | float | bool:
        value: int | float | bool = form.unpack(self._take(form.size, what))[0]
        return value

    def _take(self, count: int, what: str) -> bytes:
        end = self.at + count
        if end > self.size:
            raise MalformedGguf(f"the file ends inside {what} (it has {self.size} bytes)")
        data = self.view[self.at : end]
        self.at = end
        return data


def _sized(name: str, dimensions: tuple[int, ...], storage: GgmlType, offset: int) -> GgufTensor:
    elements = 1
    for dimension in dimensions:
        elements *= dimension
    if elements == 0 or elements >= 1 << 63:
        raise MalformedGguf(f"tensor {name!r} has dimensions {dimensions}")
    if not storage.can_store_row(dimensions[0]):
        raise MalformedGguf(
            f"tensor {name!r}: rows of {dimensions[0]} do not fill {storage.name} blocks of "
            f"{storage.block_elements}"
        )
    return GgufTensor(name, dimensions, storage, offset, elements, storage.size_bytes(elements))


def _alignment(metadata: dict[str, MetadataValue]) -> int:
    alignment = metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
    is_usable = isinstance(alignment, int) and not isinstance(alignment, bool)
    if not is_usable or not 8 <= int(str(alignment)) <= 1 << 20 or int(str(alignment)) % 8:
        raise MalformedGguf(f"general.alignment is {alignment!r}")
    return int(str(alignment))


def _check_tensors(tensors: list[GgufTensor], alignment: int, data_bytes: int) -> None:
    """Names are unique; data is aligned, does not overlap and lies within the file."""
    if len({tensor.name for tensor in tensors}) != len(tensors):
        raise MalformedGguf("two tensors have the same name")
    end = 0
    for tensor in sorted(tensors, key=lambda tensor: tensor.offset):
        if tensor.offset % alignment:
            raise MalformedGguf(f"tensor {tensor.name!r} is not aligned to {alignment} bytes")
        if tensor.offset < end:
            raise MalformedGguf(f"tensor {tensor.name!r} overlaps the one before it")
        end = tensor.offset + tensor.size_bytes
        if end > data_bytes:
            raise MalformedGguf(
                f"the file is cut short: tensor {tensor.name!r} needs {end} bytes of data, "
                f"{max(data_bytes, 0)} are there"
            )
