"""One header block of a tar archive: of the one kind that is written here, and of no other.

The format is POSIX `ustar` with plain files only, so any `tar` reads what is written. Python's
`tarfile` reads far more: links, devices, sparse maps, attributes of any length that stand for the
next file's name and size. A reader that knows none of it cannot be led to any of it.
Sources: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html (ustar interchange
format); sizes from 8 GiB on as GNU tar and libarchive write them, in base 256:
https://www.gnu.org/software/tar/manual/html_node/Standard.html
"""

import struct
from dataclasses import dataclass

BLOCK_BYTES = 512
RECORD_BYTES = 20 * BLOCK_BYTES
"""An archive is filled up with zeros to a multiple of it, as `tar` does."""

# name, mode, uid, gid, size, mtime, checksum, type, link, magic, user, group, device, prefix, fill
_LAYOUT = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s16s155s12s")
_MAGIC = b"ustar\x0000"
_NAME_BYTES, _PREFIX_BYTES = 100, 155
_OCTAL_LIMIT = 1 << 33
_BASE_256 = 0x80
_REGULAR = b"0"
_CHECKSUM = slice(148, 156)
_MAGIC_AT = slice(257, 265)


class HeaderUnfit(Exception):
    """A name that cannot be written, or a block that is no header of ours; says which."""


@dataclass(frozen=True, slots=True)
class Header:
    """One file of an archive.

    Attributes:
        name: its path, with forward slashes.
        size_bytes: of its content, which follows, filled up to whole blocks.
        mode: its permissions.
    """

    name: str
    size_bytes: int
    mode: int

    def encoded(self) -> bytes:
        """The block: time, user and group are zero, so that the same file gives the same bytes.

        Raises:
            HeaderUnfit: the name is too long.
        """
        prefix, name = _divided(self.name.encode())
        fields = (
            name, b"%07o\x00" % self.mode, b"0000000\x00", b"0000000\x00", _size(self.size_bytes),
            b"00000000000\x00", b" " * 8, _REGULAR, b"", _MAGIC, b"", b"", b"", prefix, b"",
        )  # fmt: skip
        block = _LAYOUT.pack(*fields)
        return block[: _CHECKSUM.start] + b"%06o\x00 " % sum(block) + block[_CHECKSUM.stop :]


def decoded(block: bytes) -> Header:
    """The header that `block` holds.

    Raises:
        HeaderUnfit: it is not, byte for byte, what `Header.encoded` writes.
    """
    if len(block) != BLOCK_BYTES:
        raise HeaderUnfit("the archive ends in the middle of a header")
    if not block.strip(b"\x00"):
        raise HeaderUnfit("the archive ends where a file must follow")
    if block[_MAGIC_AT] != _MAGIC:
        raise HeaderUnfit("there is no header of a tar archive; is it compressed?")
    name, mode, _, _, size, *_, kind, _, _, _, _, _, prefix, _ = _LAYOUT.unpack(block)
    if kind != _REGULAR:
        raise HeaderUnfit(f"an entry of type {kind!r}: only plain files are packed")
    try:
        path = b"/".join(part.rstrip(b"\x00") for part in (prefix, name) if part.rstrip(b"\x00"))
        header = Header(path.decode(), _number(size), _number(mode))
        is_ours = header.encoded() == block
    except (ValueError, struct.error) as fault:
        raise HeaderUnfit(f"a header that cannot be read: {fault}") from fault
    if not is_ours:
        raise HeaderUnfit(f"the header of {header.name!r} is not as it is written here")
    return header


def padding(size_bytes: int, unit: int = BLOCK_BYTES) -> int:
    """Zeros that follow `size_bytes` bytes to fill up the last unit."""
    return -size_bytes % unit


def _divided(path: bytes) -> tuple[bytes, bytes]:
    """Prefix and name: a path longer than the one field is divided at a slash."""
    if len(path) <= _NAME_BYTES:
        return b"", path
    cut = path.find(b"/", len(path) - _NAME_BYTES - 1)
    if not 0 < cut <= _PREFIX_BYTES or cut == len(path) - 1:
        raise HeaderUnfit(f"the path {path.decode()!r} is too long for an archive")
    return path[:cut], path[cut + 1 :]


def _size(size_bytes: int) -> bytes:
    if size_bytes < _OCTAL_LIMIT:
        return b"%011o\x00" % size_bytes
    return bytes([_BASE_256]) + size_bytes.to_bytes(11, "big")


def _number(field: bytes) -> int:
    if field[0] == _BASE_256:
        return int.from_bytes(field[1:], "big")
    digits = field.rstrip(b"\x00")
    if not digits.isdigit():  # int() would take a sign, and a size below zero reads without end
        raise ValueError(f"{digits!r} is no number")
    return int(digits, 8)
