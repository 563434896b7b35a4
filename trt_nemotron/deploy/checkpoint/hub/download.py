"""Getting one file into the hub's cache: resumed where it stopped, verified before it is named."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from trt_nemotron.deploy.bundle.hash_memory import HashMemory
from trt_nemotron.deploy.bundle.hashing import HashMeter
from trt_nemotron.deploy.checkpoint.hub.cache import RepositoryCache
from trt_nemotron.deploy.checkpoint.hub.client import Hub
from trt_nemotron.deploy.checkpoint.hub.listing import HubFile
from trt_nemotron.errors import CheckpointUnusable
from trt_nemotron.progress import Progress


class Transfer:
    """What all files of one fetch share: who is told, what is remembered, how many bytes have come.

    Args:
        total_bytes: of all files together.
        done_bytes: of them, what lies here already.
    """

    def __init__(
        self, progress: Progress, memory: HashMemory, total_bytes: int, done_bytes: int = 0
    ) -> None:
        self.progress = progress
        self.memory = memory
        self._total = total_bytes
        self._done = done_bytes

    def add(self, count: int) -> None:
        """`count` more bytes; less than nothing when some have to come again."""
        self._done += count
        self.progress.step(self._done, self._total, "B")


class _Counted:
    """A file that tells a meter what is written to it; just what a transfer needs of a file."""

    def __init__(self, file: BinaryIO, transfer: Transfer) -> None:
        self._file = file
        self._transfer = transfer

    def write(self, data: bytes) -> int:
        self._transfer.add(len(data))
        return self._file.write(data)

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, place: int) -> int:
        self._transfer.add(place - self._file.tell())
        return self._file.seek(place)

    def truncate(self) -> int:
        return self._file.truncate()


def have_bytes(cache: RepositoryCache, file: HubFile) -> int:
    """Bytes of `file` that need not be fetched any more."""
    blob, partial = cache.blob(file.hub_id), cache.partial(file.hub_id)
    if _has_size(blob, file.size_bytes):
        return file.size_bytes
    return min(partial.stat().st_size, file.size_bytes) if partial.is_file() else 0


def _has_size(path: Path, size_bytes: int) -> bool:
    return path.is_file() and path.stat().st_size == size_bytes


def fetch_file(hub: Hub, cache: RepositoryCache, file: HubFile, transfer: Transfer) -> None:
    """See that the blob of `file` lies in the cache, whole and right; fetch what is missing of it.

    A partial file survives Ctrl-C, kill -9 and a lost connection; whoever comes next goes on from
    its end. It takes the blob's name only after its hash was seen to be the hub's.

    Raises:
        CheckpointUnusable: what came is not what the hub promised.
        EnvironmentUnfit: the hub cannot be reached or refuses.
        OSError: as the system says.
    """
    blob = cache.blob(file.hub_id)
    for folder in (blob.parent, cache.partial("").parent, cache.guard("").parent):
        folder.mkdir(parents=True, exist_ok=True)
    with _alone(cache, file, transfer.progress):
        if _has_size(blob, file.size_bytes):
            return
        _fetch(hub, cache, file, transfer)


@contextmanager
def _alone(cache: RepositoryCache, file: HubFile, progress: Progress) -> Iterator[None]:
    """Hold the content's lock; whoever has to wait for another program says so."""
    lock = FileLock(cache.guard(file.hub_id))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress.phase(f"waiting for another program that fetches {file.name}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _fetch(hub: Hub, cache: RepositoryCache, file: HubFile, transfer: Transfer) -> None:
    partial = cache.partial(file.hub_id)
    done = partial.stat().st_size if partial.is_file() else 0
    if done > file.size_bytes or not file.is_lfs:
        # Small files may come compressed, of which no part can be asked for.
        transfer.add(-min(done, file.size_bytes))
        partial.unlink(missing_ok=True)
        done = 0
    transfer.progress.phase(f"{'going on with' if done else 'fetching'} {file.name}")
    with partial.open("ab") as target:
        hub.receive(cache.reference, file, _Counted(target, transfer), done)  # type: ignore[arg-type]
        target.flush()
        os.fsync(target.fileno())
    found = _identify(partial, file, transfer)
    if found == file.hub_id:
        partial.chmod(0o644)
        partial.replace(cache.blob(file.hub_id))
        return
    partial.unlink()
    if done:  # the part that lay here was not this file's beginning
        transfer.add(-file.size_bytes)
        transfer.progress.note(f"{file.name}: what was here before did not fit; fetching all of it")
        _fetch(hub, cache, file, transfer)
        return
    raise CheckpointUnusable(
        f"{file.name} arrived damaged",
        evidence=f"its hash is {found}, the hub says {file.hub_id}",
        next_step="Run this again. If it happens twice, something between you and the hub alters "
        "files: a proxy, a mirror, or failing memory.",
    )


def _identify(path: Path, file: HubFile, transfer: Transfer) -> str:
    """What the hub would call the content at `path`: its SHA-256, or Git's id of it."""
    if not file.is_lfs:
        return git_id(path)
    transfer.progress.phase(f"hashing {file.name}")
    meter = HashMeter(transfer.progress, file.size_bytes, transfer.memory)
    return meter.sha256(path, is_own=True)


def git_id(path: Path) -> str:
    """The id that Git gives a file with this content."""
    content = path.read_bytes()
    header = f"blob {len(content)}\0".encode()
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()


def link_into_snapshot(cache: RepositoryCache, file: HubFile) -> None:
    """Make the snapshot's file of that name a link to the blob, whatever stood there."""
    link = cache.snapshot / file.name
    target = os.path.relpath(cache.blob(file.hub_id), link.parent)
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink() and os.readlink(link) == target:  # noqa: PTH115 - text, not a path
        return
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    temporary.symlink_to(target)
    temporary.replace(link)
