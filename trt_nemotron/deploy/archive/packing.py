"""Packing a bundle into one file: hashed while it is read, and whole or not there."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from trt_nemotron.deploy.archive.header import padding
from trt_nemotron.deploy.archive.layout import archive_bytes, check_name, ending, headers
from trt_nemotron.deploy.bundle.destination import building_folder, check_space, remove_leftovers
from trt_nemotron.deploy.bundle.reader import read_bundle
from trt_nemotron.deploy.bundle.values import MANIFEST_NAME
from trt_nemotron.document import Value, write_atomically
from trt_nemotron.errors import BundleDamaged, InvalidInput
from trt_nemotron.progress import SILENT, Progress

SIDECAR_SUFFIX = ".sha256"
_PIECE_BYTES = 4 * 1024 * 1024


class Packed(Value, frozen=True, kw_only=True):
    """An archive that was written.

    Attributes:
        sha256: of the archive; nothing when it was only foreseen.
    """

    archive: str
    size_bytes: int
    sha256: str = ""


def pack_bundle(
    bundle: Path, out: Path, progress: Progress = SILENT, *, force: bool = False
) -> Packed:
    """Write `bundle` as one archive to `out`, and its hash beside it as `sha256sum` writes it.

    Every file is hashed on its way: what is not what the manifest says is not packed. The archive
    takes its place by a rename. The same bundle gives the same bytes.

    Raises:
        InvalidInput: there is no such bundle, `out` exists and `force` is not set, or a path in it
            is too long.
        BundleDamaged: the bundle is not what was built.
        EnvironmentUnfit: not enough disk space.
        OSError: as the system says; nothing is left behind.
    """
    out = out.absolute()
    foreseen = foresee_packing(bundle, out, force=force)
    remove_leftovers(out)
    progress.phase("packing the bundle")
    with building_folder(out) as building:
        archive = building / out.name
        sha256 = _write(bundle, archive, foreseen.size_bytes, progress)
        sidecar = _sidecar(out)
        sidecar.unlink(missing_ok=True)  # else one of another archive could stand beside this one
        archive.replace(out)
        write_atomically(sidecar, f"{sha256}  {out.name}\n".encode())
    return Packed(archive=str(out), size_bytes=foreseen.size_bytes, sha256=sha256)


def foresee_packing(bundle: Path, out: Path, *, force: bool = False) -> Packed:
    """What `pack_bundle` would write; changes nothing, and fails as it would before it writes."""
    manifest, _ = read_bundle(bundle)
    check_name(manifest)
    _check_out(bundle, out, force=force)
    size_bytes = archive_bytes(manifest, (bundle / MANIFEST_NAME).stat().st_size)
    check_space(out.absolute().parent, size_bytes)
    return Packed(archive=str(out), size_bytes=size_bytes)


def _check_out(bundle: Path, out: Path, *, force: bool) -> None:
    if bundle.resolve() in out.resolve().parents:
        raise InvalidInput(
            f"{out} would lie in the bundle it holds",
            next_step="Choose another place with --out.",
        )
    if not os.path.lexists(out):
        return
    if out.is_symlink() or not out.is_file():
        raise InvalidInput(
            f"{out} exists and is no plain file; it is left alone",
            next_step="Choose another place with --out.",
        )
    if not force:
        raise InvalidInput(
            f"{out} exists",
            next_step="Replace it with --force, or choose another place with --out.",
        )


def _sidecar(archive: Path) -> Path:
    return archive.with_name(archive.name + SIDECAR_SUFFIX)


def _write(bundle: Path, archive: Path, size_bytes: int, progress: Progress) -> str:
    digest, done = hashlib.sha256(), 0
    with archive.open("xb", buffering=0) as file:
        for piece in _pieces(bundle):
            _write_whole(file, piece)
            digest.update(piece)
            done += len(piece)
            progress.step(done, size_bytes, "B")
        os.fsync(file.fileno())
    archive.chmod(0o644)
    return digest.hexdigest()


def _write_whole(file: IO[bytes], piece: bytes) -> None:
    """A raw file may take less than it is given, on a disk that is all but full."""
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]


def _pieces(bundle: Path) -> Iterator[bytes]:
    """The archive, piece by piece."""
    manifest, _ = read_bundle(bundle)
    expected = {file.path: file.sha256 for file in manifest.files}
    own = (bundle / MANIFEST_NAME).read_bytes()
    expected[MANIFEST_NAME] = hashlib.sha256(own).hexdigest()
    total = 0
    for path, header in headers(manifest, len(own)):
        block = header.encoded()
        yield block
        yield from _content(bundle / path, header.size_bytes, expected[path])
        filling = padding(header.size_bytes)
        yield bytes(filling)
        total += len(block) + header.size_bytes + filling
    yield bytes(ending(total))


def _content(path: Path, size_bytes: int, sha256: str) -> Iterator[bytes]:
    """The file's bytes, exactly as many as its header says.

    Raises:
        BundleDamaged: it is not the file that was built.
    """
    digest, left = hashlib.sha256(), size_bytes
    with path.open("rb", buffering=0) as file:
        while left:
            piece = file.read(min(left, _PIECE_BYTES))
            if not piece:
                break
            digest.update(piece)
            left -= len(piece)
            yield piece
    if left or digest.hexdigest() != sha256:
        raise BundleDamaged(
            f"bundle damaged: {path.name} is not what was built",
            evidence=f"SHA-256 is {digest.hexdigest()}, the manifest says {sha256}",
            next_step="Build it again with `trt-nemotron build --force`.",
        )
