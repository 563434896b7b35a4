"""Hashes of large files finished before, so that an interrupted run goes on with the next file.

One small file for each, in the user's cache folder. A file is known again by its device, inode,
size and time of change; its path is no part of that, for a hard link is the same file under another
name. Beside them stands a hash over samples of the content, because times can be set: archives give
every file of a checkpoint the same one.

What is remembered saves time and is no proof. `verify` never asks it; a bundle that was built with
a wrong memory is one that `verify` refuses.
"""

import hashlib
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from trt_nemotron.document import Document, read_document, write_document
from trt_nemotron.errors import InvalidInput

CACHE_VARIABLE = "TRT_NEMOTRON_CACHE_DIR"

LEAST_BYTES = 1024 * 1024
"""Smaller files are hashed sooner than looked up."""

_SETTLED_NS = 2 * 10**9
_SAMPLES = 64
_SAMPLE_BYTES = 4096
_FORGOTTEN_AFTER_S = 90 * 24 * 3600.0


class FinishedHash(Document, frozen=True, kw_only=True):
    """The hash of one file as it was.

    Attributes:
        path: where it lay, for people.
        samples_sha256: over evenly spread pieces of its content.
    """

    SCHEMA: ClassVar[str] = "trt-nemotron/finished-hash/1"

    path: str
    device: int
    inode: int
    size_bytes: int
    mtime_ns: int
    samples_sha256: str
    sha256: str


def memory_folder() -> Path:
    """`hashes` in `$TRT_NEMOTRON_CACHE_DIR`, or in where the system keeps a user's caches."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen).absolute() / "hashes"
    from platformdirs import user_cache_path

    return user_cache_path("trt-nemotron", appauthor=False) / "hashes"


class HashMemory:
    """Remembers hashes in one folder; without one named, in the user's own.

    Args:
        wall_clock_ns: nanoseconds since the epoch, as file systems stamp files.
    """

    def __init__(
        self, folder: Path | None = None, wall_clock_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._folder = folder
        self._clock = wall_clock_ns

    def recall(self, path: Path) -> str | None:
        """The hash of the file at `path`, if it was hashed as it is now; nothing when in doubt."""
        found = path.stat()
        if found.st_size < LEAST_BYTES:
            return None
        try:
            known = read_document(self._entry(found), FinishedHash)
        except InvalidInput:
            return None
        is_same = _identity(found) == (known.device, known.inode, known.size_bytes, known.mtime_ns)
        return known.sha256 if is_same and known.samples_sha256 == _sample(path) else None

    def remember(
        self, path: Path, sha256: str, before: os.stat_result, *, is_own: bool = False
    ) -> None:
        """Keep the hash of the file at `path`, unless it may have changed since `before`.

        Args:
            path: the file.
            sha256: of its content.
            before: its status when hashing began.
            is_own: we wrote it ourselves, just now. Of any other file changed a moment ago the time
                stamp cannot tell a second change, so its hash is not kept.
        """
        now = path.stat()
        is_settled = is_own or self._clock() - before.st_mtime_ns > _SETTLED_NS
        if now.st_size < LEAST_BYTES or not is_settled or _identity(now) != _identity(before):
            return
        device, inode, size_bytes, mtime_ns = _identity(now)
        self._keep(
            self._entry(now),
            FinishedHash(
                path=str(path.absolute()),
                device=device,
                inode=inode,
                size_bytes=size_bytes,
                mtime_ns=mtime_ns,
                samples_sha256=_sample(path),
                sha256=sha256,
            ),
        )

    def _keep(self, entry: Path, finished: FinishedHash) -> None:
        try:
            write_document(entry, finished)
        except OSError:  # a full or read-only disk costs time later, nothing else
            return
        self._forget_old(entry.parent)

    def _forget_old(self, folder: Path) -> None:
        oldest_s = self._clock() / 1e9 - _FORGOTTEN_AFTER_S
        for path in folder.glob("*.json"):
            with suppress(OSError):  # another run was faster
                if path.stat().st_mtime < oldest_s:
                    path.unlink()

    def _entry(self, status: os.stat_result) -> Path:
        folder = self._folder or memory_folder()
        name = "-".join(f"{part:x}" for part in _identity(status))
        return folder / f"{name}.json"


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _sample(path: Path) -> str:
    """Hash over pieces spread evenly from the first to the last byte: 256 KB, whatever the size."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        last = max(0, os.fstat(file.fileno()).st_size - _SAMPLE_BYTES)
        for number in range(_SAMPLES):
            file.seek(last * number // (_SAMPLES - 1))
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()
