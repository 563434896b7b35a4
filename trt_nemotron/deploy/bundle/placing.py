"""Putting a copy of a file into a bundle, as cheaply as is safe."""

import os
import shutil
import sys
from pathlib import Path

from trt_nemotron.deploy.bundle.hash_memory import HashMemory
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.progress import Progress

LINK_FROM_BYTES = 256 * 1024 * 1024
"""Files from this size on are hard-linked where the file system allows it.

A bundle must stay whole when it is moved, so it may hold no symbolic link; weights of many GB must
not be written twice either. A hard link is the file itself under a second name: it survives moving
the bundle and deleting the source. It shares later changes of the source's *content*, which
`verify` finds; programs that replace a file by renaming, as download tools do, leave it alone.
Smaller files are copied, so that editing a bundle never edits its source.
"""


def source_folder(checkpoint: Checkpoint) -> Path:
    """The folder that the names in `checkpoint.files` are relative to."""
    path = Path(checkpoint.path)
    return path if path.is_dir() else path.parent


def place_checkpoint(checkpoint: Checkpoint, folder: Path, progress: Progress) -> None:
    """Put every file of the checkpoint into `folder`, under its own name.

    Raises:
        OSError: as the system says.
    """
    progress.phase("copying the checkpoint")
    total, done = sum(file.size_bytes for file in checkpoint.files), 0
    for file in checkpoint.files:
        place_file(source_folder(checkpoint) / file.name, folder / file.name)
        done += file.size_bytes
        progress.step(done, total, "B")


def bytes_to_place(checkpoint: Checkpoint) -> int:
    """Bytes that `place_checkpoint` may have to write, if no file can be linked."""
    return sum(file.size_bytes for file in checkpoint.files)


def place_file(
    source: Path,
    target: Path,
    *,
    link_from_bytes: int = LINK_FROM_BYTES,
    memory: HashMemory | None = None,
) -> None:
    """Make `target` hold what `source` holds: clone, else hard link (large files), else copy.

    Links in `source` are followed: hub caches consist of them. A copy gets mode 0644; a hard link
    keeps its source's mode, which it shares.

    A hash that `memory` (the user's own, unless given) has of the source is the clone's too, and a
    hard link is the very file that was hashed. A copy is other bytes on the disk: it is hashed for
    itself.

    Raises:
        OSError: as the system says.
    """
    real = source.resolve(strict=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    if real.stat().st_size >= link_from_bytes:
        if _clone(real, target):
            _carry_hash(real, target, memory)
        elif _link(real, target):
            return
    if not target.exists():
        shutil.copyfile(real, target)
    target.chmod(0o644)


def _carry_hash(source: Path, clone: Path, memory: HashMemory | None) -> None:
    """The clone has what the source had when it was made; asked after that, so of that or later."""
    memory = memory or HashMemory()
    before = clone.stat()
    known = memory.recall(source)
    if known is not None:
        memory.remember(clone, known, before, is_own=True)


def _link(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError:  # another file system, one without links, or links forbidden to us
        return False
    return True


def _clone(source: Path, target: Path) -> bool:
    """Share the blocks copy-on-write (Btrfs, XFS, bcachefs): as cheap as a link, and separate."""
    if sys.platform != "linux":
        return False
    import fcntl

    clone_request = 0x40049409  # FICLONE of linux/fs.h: _IOW(0x94, 9, int)
    with source.open("rb") as reader, target.open("wb") as writer:
        try:
            fcntl.ioctl(writer.fileno(), clone_request, reader.fileno())
        except OSError:
            target.unlink()
            return False
    return True
