"""A commit on the hub becomes a verified snapshot in the hub's cache, with a lock beside it."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from trt_nemotron.deploy.bundle.hash_memory import HashMemory
from trt_nemotron.deploy.bundle.hashing import HashMeter
from trt_nemotron.deploy.checkpoint.hub.cache import RepositoryCache
from trt_nemotron.deploy.checkpoint.hub.client import Hub
from trt_nemotron.deploy.checkpoint.hub.download import (
    Transfer,
    fetch_file,
    git_id,
    have_bytes,
    link_into_snapshot,
)
from trt_nemotron.deploy.checkpoint.hub.listing import HubFile, needed_files
from trt_nemotron.deploy.checkpoint.hub.source_lock import HashOrigin, LockedFile, SourceLock
from trt_nemotron.deploy.checkpoint.opening import open_checkpoint
from trt_nemotron.deploy.checkpoint.safetensors_folder import COMPANIONS
from trt_nemotron.document import read_document, write_document
from trt_nemotron.errors import CheckpointUnusable, EnvironmentUnfit, InvalidInput
from trt_nemotron.progress import SILENT, Progress

_MARGIN_BYTES = 64 * 1024 * 1024  # links, locks, and a disk that is not filled to its last byte
_SHA256_DIGITS = 64


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What fetching would do.

    Attributes:
        to_fetch_bytes: what has still to come over the network, and go onto the disk.
        free_bytes: on the cache's disk now.
    """

    files: tuple[HubFile, ...]
    to_fetch_bytes: int
    free_bytes: int
    present_name: str

    @property
    def total_bytes(self) -> int:
        """Of all files."""
        return sum(file.size_bytes for file in self.files)


def foresee(hub: Hub, cache: RepositoryCache) -> Foreseen:
    """Ask the hub for the list of files; change nothing here.

    Raises:
        CheckpointUnusable: the repository is no checkpoint that we read.
        EnvironmentUnfit, InvalidInput: as the hub answers.
    """
    present_name, everything = hub.list_files(cache.reference)
    files = needed_files(cache.reference, everything)
    to_fetch = sum(file.size_bytes - have_bytes(cache, file) for file in files)
    return Foreseen(files, to_fetch, _free_bytes(cache.root), present_name)


def fetch(
    hub: Hub, cache: RepositoryCache, memory: HashMemory, progress: Progress = SILENT
) -> SourceLock:
    """Fetch what is missing, hash everything, open it as a checkpoint, and write the lock.

    Whatever stops it, the next call goes on from there. The lock is written last: where one is, the
    snapshot was whole.

    Raises:
        CheckpointUnusable: damaged on the way, or no checkpoint that can be used.
        EnvironmentUnfit: too little disk space, or the hub cannot be reached or refuses.
        OSError: as the system says.
    """
    progress.phase("asking the hub")
    foreseen = foresee(hub, cache)
    if foreseen.present_name != cache.reference.repository:
        progress.note(f"{cache.reference.repository} is now called {foreseen.present_name}")
    _check_space(cache.root, foreseen)
    here = foreseen.total_bytes - foreseen.to_fetch_bytes
    transfer = Transfer(progress, memory, foreseen.total_bytes, here)
    for file in foreseen.files:
        fetch_file(hub, cache, file, transfer)
    files = _repaired(hub, cache, foreseen.files, transfer)
    for file in foreseen.files:
        link_into_snapshot(cache, file)
    return _conclude(cache, files)


def verify_cached(
    cache: RepositoryCache, memory: HashMemory, progress: Progress = SILENT
) -> SourceLock:
    """As `fetch` from what lies in the cache alone, whoever put it there.

    The cache names contents by the hub's own ids, so they can be held against these without asking.
    Every byte is read, whatever is remembered.

    Raises:
        CheckpointUnusable: the commit is not in the cache, or not whole.
    """
    files = tuple(_cached_files(cache))
    if not files:
        raise CheckpointUnusable(
            f"{cache.reference} is not in the cache",
            evidence=f"there is no {cache.snapshot}",
            next_step=f"With a network: trt-nemotron fetch {cache.reference}",
        )
    progress.phase("hashing the snapshot")
    total_bytes = sum(file.size_bytes for file in files)
    meter = HashMeter(progress, total_bytes, memory, is_proof=True)
    said = _origins(cache)
    return _conclude(
        cache,
        tuple(
            _locked(cache, it, meter, said.get((it.name, it.hub_id), "cache-etag")) for it in files
        ),
    )


def _origins(cache: RepositoryCache) -> dict[tuple[str, str], HashOrigin]:
    """Who said which id of a file, as an earlier lock keeps it."""
    try:
        lock = read_document(cache.lock_path, SourceLock)
    except InvalidInput:
        return {}
    return {(file.name, file.hub_id): file.origin for file in lock.files}


def _cached_files(cache: RepositoryCache) -> list[HubFile]:
    if not cache.snapshot.is_dir():
        return []
    names = [path.name for path in cache.snapshot.iterdir()]
    kept = sorted(it for it in names if it in COMPANIONS or it.endswith(".safetensors"))
    return [_cached_file(cache, name) for name in kept]


def _cached_file(cache: RepositoryCache, name: str) -> HubFile:
    hub_id = cache.cached_id(name)
    path = cache.snapshot / name
    if not hub_id or not path.is_file():
        raise CheckpointUnusable(
            f"{name} in the cache cannot be verified",
            evidence=f"{path} is no link to a content that is there under the hub's id",
            next_step=f"With a network: trt-nemotron fetch {cache.reference}",
        )
    return HubFile(name, path.stat().st_size, hub_id, is_lfs=len(hub_id) == _SHA256_DIGITS)


def _repaired(
    hub: Hub, cache: RepositoryCache, files: tuple[HubFile, ...], transfer: Transfer
) -> tuple[LockedFile, ...]:
    """Every blob hashed; one that has changed since it was fetched is fetched again, once."""
    progress = transfer.progress
    progress.phase("verifying what was fetched")
    meter = HashMeter(progress, sum(file.size_bytes for file in files), transfer.memory)
    locked = []
    for file in files:
        origin: HashOrigin = "hub-lfs" if file.is_lfs else "hub-git"
        try:
            locked.append(_locked(cache, file, meter, origin))
        except CheckpointUnusable:
            progress.note(f"{file.name} was damaged on this disk; fetching it again")
            cache.blob(file.hub_id).unlink()
            fetch_file(hub, cache, file, Transfer(progress, transfer.memory, file.size_bytes))
            again = HashMeter(progress, file.size_bytes, transfer.memory)
            locked.append(_locked(cache, file, again, origin))
    return tuple(locked)


def _locked(
    cache: RepositoryCache, file: HubFile, meter: HashMeter, origin: HashOrigin
) -> LockedFile:
    blob = cache.blob(file.hub_id)
    sha256 = meter.sha256(blob)
    found = sha256 if file.is_lfs else git_id(blob)
    if found != file.hub_id:
        raise CheckpointUnusable(
            f"{file.name} in the cache is damaged",
            evidence=f"its hash is {found}, the hub says {file.hub_id}",
            next_step=f"With a network: trt-nemotron fetch {cache.reference}",
        )
    return LockedFile(
        name=file.name,
        size_bytes=file.size_bytes,
        sha256=sha256,
        hub_id=file.hub_id,
        origin=origin,
    )


def _conclude(cache: RepositoryCache, files: tuple[LockedFile, ...]) -> SourceLock:
    """Open the snapshot as a checkpoint, and only then vouch for it."""
    cache.lock_path.unlink(missing_ok=True)
    open_checkpoint(cache.snapshot)
    lock = SourceLock(
        repository=cache.reference.repository,
        revision=cache.reference.revision,
        files=tuple(sorted(files, key=lambda file: file.name)),
    )
    write_document(cache.lock_path, lock)
    return lock


def _check_space(root: Path, foreseen: Foreseen) -> None:
    needed = foreseen.to_fetch_bytes + _MARGIN_BYTES
    if foreseen.to_fetch_bytes and foreseen.free_bytes < needed:
        raise EnvironmentUnfit(
            f"not enough disk space in {root}",
            evidence=f"{needed} bytes are needed, {foreseen.free_bytes} are available",
            next_step="Free some space, or put the cache on another disk with HF_HUB_CACHE.",
        )


def _free_bytes(folder: Path) -> int:
    existing = next(path for path in (folder, *folder.parents) if path.is_dir())
    return shutil.disk_usage(existing).free
