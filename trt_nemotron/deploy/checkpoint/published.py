"""What the publisher says of a folder's files, where a lock of a fetch lies beside them."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from trt_nemotron.deploy.checkpoint.hub.cache import lock_beside
from trt_nemotron.deploy.checkpoint.hub.source_lock import SourceLock
from trt_nemotron.deploy.checkpoint.values import CheckpointFile
from trt_nemotron.document import read_document
from trt_nemotron.errors import CheckpointUnusable, InvalidInput


def read_lock(folder: Path) -> SourceLock | None:
    """The lock of the checkpoint in `folder`, seen to agree with the files' sizes; or nothing.

    Raises:
        CheckpointUnusable: the lock cannot be read, or a file is missing or of another size.
    """
    path = lock_beside(folder)
    if path is None:
        return None
    try:
        lock = read_document(path, SourceLock)
    except InvalidInput as fault:
        raise CheckpointUnusable(
            f"{path} cannot be read",
            evidence=f"{fault.message}\n{fault.evidence}",
            next_step="Fetch the checkpoint again with `trt-nemotron fetch`.",
        ) from fault
    for file in lock.files:
        _check_size(folder / file.name, file.size_bytes, lock)
    return lock


def listed_files(
    folder: Path, names: Iterable[str], lock: SourceLock | None
) -> tuple[CheckpointFile, ...]:
    """The named files with their sizes and, where a lock is, their published hashes.

    Raises:
        CheckpointUnusable: one of them is not in the lock.
    """
    hashes = {file.name: file.sha256 for file in lock.files} if lock else None
    return tuple(
        CheckpointFile(
            name=name,
            size_bytes=(folder / name).stat().st_size,
            sha256="" if hashes is None else _hash_of(name, hashes, folder),
        )
        for name in sorted(names)
    )


def as_published(file: CheckpointFile, found: str, folder: Path) -> str:
    """The SHA-256 that was found for `file`, which nobody publishes another one of.

    Raises:
        CheckpointUnusable: its publisher says another.
    """
    if file.sha256 and found != file.sha256:
        raise CheckpointUnusable(
            f"{file.name} is not the file that was published",
            evidence=f"SHA-256 of {folder / file.name} is {found}, published is {file.sha256}",
            next_step="Fetch it again with `trt-nemotron fetch`.",
        )
    return found


def _hash_of(name: str, hashes: Mapping[str, str], folder: Path) -> str:
    if name not in hashes:
        raise CheckpointUnusable(
            f"{folder / name} is not of the repository",
            evidence="what the hub published at this commit has no file of that name",
            next_step="Move it away; to change a checkpoint, change a copy of it.",
        )
    return hashes[name]


def _check_size(path: Path, size_bytes: int, lock: SourceLock) -> None:
    found = path.stat().st_size if path.is_file() else None
    if found != size_bytes:
        raise CheckpointUnusable(
            f"{path.parent} lacks {path.name}" if found is None else f"{path} was cut or changed",
            evidence=f"the hub says {size_bytes} bytes"
            + ("" if found is None else f", {found} are there"),
            next_step=f"trt-nemotron fetch hub:{lock.repository}@{lock.revision}",
        )
