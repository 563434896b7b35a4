"""Restoring a bundle from an archive: proven while it is read, and whole or not there."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Literal

from trt_nemotron.deploy.archive.entries import Entries, unfit
from trt_nemotron.deploy.archive.layout import archive_bytes, check_name, ending, headers
from trt_nemotron.deploy.bundle.destination import (
    building_folder,
    check_destination,
    normalise_folders,
    remove_leftovers,
    take_place,
)
from trt_nemotron.deploy.bundle.names import FILE_MODE, mode_of
from trt_nemotron.deploy.bundle.reader import read_bundle, verify_bundle
from trt_nemotron.deploy.bundle.values import MANIFEST_NAME, BundleFile, Manifest
from trt_nemotron.document import Value
from trt_nemotron.errors import BundleDamaged, InvalidInput
from trt_nemotron.progress import SILENT, Progress

BUNDLES = Path("bundles")
"""Where a bundle goes when nobody says where, as with `build`."""

_FILE_LIMIT_BYTES = 1 << 63  # what file systems count to


class Unpacked(Value, frozen=True, kw_only=True):
    """A bundle that was restored.

    Attributes:
        bundle: its folder.
        action: `keep` when the very same bundle was there already, and whole.
        is_verified: whether every file was hashed; nothing is when it was only foreseen.
    """

    bundle: str
    action: Literal["unpack", "keep"]
    is_verified: bool
    manifest: Manifest


def unpack_bundle(
    archive: IO[bytes],
    out: Path | None = None,
    progress: Progress = SILENT,
    *,
    force: bool = False,
    is_verified: bool = True,
) -> Unpacked:
    """Restore the bundle that `archive` holds into the folder `out`.

    An archive is read once, from its beginning, and may come through a pipe. Its manifest comes
    first; whatever else follows than the plain files it lists, with their names, sizes and order,
    is refused. All is written into a folder beside `out` that takes its place at the end.

    Args:
        archive: opened for reading bytes.
        out: the bundle's folder; without it `bundles/NAME` with the bundle's own name.
        progress: told of the bytes read.
        force: replace another or a damaged bundle at `out`.
        is_verified: hash every file on its way and refuse what is not as the manifest says.

    Raises:
        BundleDamaged: it is not an archive of a whole bundle.
        InvalidInput: `out` holds something that must not be replaced.
        EnvironmentUnfit: not enough disk space.
        OSError: as the system says; nothing is left behind.
    """
    entries = Entries(archive)
    manifest, data = _begin(entries, archive)
    folder = _folder(manifest, out)
    remove_leftovers(folder)
    if _is_there(folder, data, progress):
        progress.note(f"already unpacked: {folder}")
        return Unpacked(bundle=str(folder), action="keep", is_verified=True, manifest=manifest)
    check_destination(folder, _content_bytes(manifest), force=force)
    progress.phase("unpacking the bundle")
    with building_folder(folder) as building:
        _extract(entries, manifest, data, building, progress, is_verified=is_verified)
        read_bundle(building)
        take_place(building, folder)
    return Unpacked(bundle=str(folder), action="unpack", is_verified=is_verified, manifest=manifest)


def foresee_unpacking(
    archive: IO[bytes], out: Path | None = None, *, force: bool = False
) -> Unpacked:
    """What `unpack_bundle` would do; reads the manifest only, and changes nothing."""
    manifest, data = _begin(Entries(archive), archive)
    folder = _folder(manifest, out)
    is_there = _is_there(folder, data, SILENT)
    if not is_there:
        check_destination(folder, _content_bytes(manifest), force=force)
    return Unpacked(
        bundle=str(folder),
        action="keep" if is_there else "unpack",
        is_verified=False,
        manifest=manifest,
    )


def _begin(entries: Entries, archive: IO[bytes]) -> tuple[Manifest, bytes]:
    manifest, data = entries.manifest()
    check_name(manifest)
    for file in manifest.files:
        if not 0 <= file.size_bytes < _FILE_LIMIT_BYTES:
            raise unfit(f"{file.path} cannot have {file.size_bytes} bytes", "the manifest says so")
    try:
        expected_bytes = archive_bytes(manifest, len(data))
    except InvalidInput as fault:
        raise unfit("its manifest lists what no archive can hold", fault.message) from fault
    _check_length(archive, expected_bytes)
    return manifest, data


def _check_length(archive: IO[bytes], expected_bytes: int) -> None:
    """A download that was cut short is told from a whole one before anything is written."""
    if not archive.seekable():
        return
    here = archive.tell()
    size_bytes = archive.seek(0, os.SEEK_END)
    archive.seek(here)
    if size_bytes != expected_bytes:
        raise unfit(
            f"it has {size_bytes} bytes instead of {expected_bytes}",
            "the manifest says how many it must have",
        )


def _folder(manifest: Manifest, out: Path | None) -> Path:
    return (out or BUNDLES / manifest.name).absolute()


def _content_bytes(manifest: Manifest) -> int:
    return sum(file.size_bytes for file in manifest.files)


def _is_there(folder: Path, manifest: bytes, progress: Progress) -> bool:
    """Whether the same bundle is at `folder`, whole."""
    own = folder / MANIFEST_NAME
    if folder.is_symlink() or not own.is_file() or own.read_bytes() != manifest:
        return False
    try:
        verify_bundle(folder, progress)
    except BundleDamaged:
        return False
    return True


def _extract(
    entries: Entries,
    manifest: Manifest,
    data: bytes,
    folder: Path,
    progress: Progress,
    *,
    is_verified: bool,
) -> None:
    total = archive_bytes(manifest, len(data))
    _write(folder / MANIFEST_NAME, [data], FILE_MODE)
    announced = list(headers(manifest, len(data)))[1:]
    for file, (_, header) in zip(manifest.files, announced, strict=True):
        entries.expect(header)
        digest = _Digest(file) if is_verified else None
        pieces = _watched(entries, entries.content(header), total, progress)
        _write(
            folder / file.path,
            pieces if digest is None else digest.over(pieces),
            mode_of(file.path),
        )
        if digest is not None:
            digest.check()
    entries.end(ending(entries.read_bytes))
    normalise_folders(folder)


def _watched(
    entries: Entries, pieces: Iterable[bytes], total: int, progress: Progress
) -> Iterable[bytes]:
    for piece in pieces:
        progress.step(entries.read_bytes, total, "B")
        yield piece


class _Digest:
    """The hash of a file's pieces as they pass by."""

    def __init__(self, file: BundleFile) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def over(self, pieces: Iterable[bytes]) -> Iterable[bytes]:
        for piece in pieces:
            self._digest.update(piece)
            yield piece

    def check(self) -> None:
        found = self._digest.hexdigest()
        if found != self._file.sha256:
            raise unfit(
                f"{self._file.path} is not what was packed",
                f"SHA-256 is {found}, the manifest says {self._file.sha256}",
            )


def _write(path: Path, pieces: Iterable[bytes], mode: int) -> None:
    """A new file; nothing that is there is followed or written over."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.writelines(pieces)
        file.flush()
        os.fchmod(file.fileno(), mode)
        os.fsync(
            file.fileno()
        )  # a device may lose its power; a rename must not outlive the content
