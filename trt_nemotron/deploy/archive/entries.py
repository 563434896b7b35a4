"""Reading an archive from its beginning to its end, as from a pipe, believing nothing of it."""

from collections.abc import Iterator
from typing import IO

from trt_nemotron.deploy.archive.header import (
    BLOCK_BYTES,
    RECORD_BYTES,
    Header,
    HeaderUnfit,
    decoded,
    padding,
)
from trt_nemotron.deploy.bundle.reader import parse_manifest
from trt_nemotron.deploy.bundle.values import MANIFEST_NAME, Manifest
from trt_nemotron.errors import BundleDamaged

_PIECE_BYTES = 4 * 1024 * 1024
_LARGEST_MANIFEST_BYTES = 16 * 1024 * 1024
_NEXT_STEP = "Do not use it: pack the bundle again with `trt-nemotron pack`, or copy it again."


class Entries:
    """An archive that is being read: the manifest, then each file that it lists, then the end.

    Args:
        file: where it comes from; only `read` is used.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.read_bytes = 0

    def manifest(self) -> tuple[Manifest, bytes]:
        """The manifest and its bytes; its seal fits.

        Raises:
            BundleDamaged: the archive does not begin with one.
        """
        header = self._header()
        folder, _, name = header.name.rpartition("/")
        if name != MANIFEST_NAME or header.size_bytes > _LARGEST_MANIFEST_BYTES:
            raise unfit("it does not begin with a manifest", f"but with {header.name!r}")
        data = b"".join(self.content(header))
        manifest = parse_manifest(data)
        if folder != manifest.name:
            raise unfit("its manifest is another bundle's", f"{manifest.name!r} lies in {folder!r}")
        return manifest, data

    def expect(self, expected: Header) -> None:
        """Read the header of the next file.

        Raises:
            BundleDamaged: it is not the one that the manifest announced.
        """
        found = self._header()
        if found != expected:
            raise unfit(
                "it does not hold what its manifest lists",
                f"found: {_described(found)}\nlisted: {_described(expected)}",
            )

    def content(self, header: Header) -> Iterator[bytes]:
        """The bytes of the file whose header was read last.

        Raises:
            BundleDamaged: the archive ends before.
        """
        left = header.size_bytes
        while left:
            piece = self._take(min(left, _PIECE_BYTES))
            left -= len(piece)
            yield piece
        self._zeros(padding(header.size_bytes))

    def end(self, size_bytes: int) -> None:
        """See that so many zeros follow, and nothing after them.

        Raises:
            BundleDamaged: something else does.
        """
        self._zeros(size_bytes)
        if self._file.read(1):
            raise unfit("something follows its end", "nothing that the manifest lists is missing")

    def _header(self) -> Header:
        try:
            return decoded(b"".join(self._exactly(BLOCK_BYTES)))
        except HeaderUnfit as fault:
            raise unfit(str(fault), f"after {self.read_bytes} bytes") from fault

    def _zeros(self, size_bytes: int) -> None:
        for piece in self._exactly(size_bytes):
            if piece.strip(b"\x00"):
                raise unfit("bytes between its files are not zero", f"by byte {self.read_bytes}")

    def _exactly(self, size_bytes: int) -> Iterator[bytes]:
        while size_bytes:
            piece = self._take(min(size_bytes, RECORD_BYTES))
            size_bytes -= len(piece)
            yield piece

    def _take(self, most: int) -> bytes:
        piece = self._file.read(most)
        if not piece:
            raise unfit("it was cut short", f"it ends after {self.read_bytes} bytes")
        self.read_bytes += len(piece)
        return piece


def _described(header: Header) -> str:
    return f"{header.name!r}, {header.size_bytes} bytes, mode {header.mode:o}"


def unfit(message: str, evidence: str) -> BundleDamaged:
    """The error for an archive that is not what `pack` writes."""
    return BundleDamaged(
        f"not an archive of a whole bundle: {message}", evidence=evidence, next_step=_NEXT_STEP
    )
