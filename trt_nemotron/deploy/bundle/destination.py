"""Where a bundle or an archive is to lie: may it go there, and how it takes its place.

What is new is made in a folder beside its destination and renamed when it is whole: a reader
never meets half of it. Several may be at work; what a killed one left is removed by the next.
"""

import glob
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from trt_nemotron.deploy.bundle.names import FOLDER_MODE
from trt_nemotron.deploy.bundle.values import MANIFEST_NAME, Manifest
from trt_nemotron.document import read_document
from trt_nemotron.errors import EnvironmentUnfit, InvalidInput

_LOCK_NAME = "lock"
_UNLOCKED_GRACE_S = 60.0
MARGIN_BYTES = 4 * 1024 * 1024
"""For what stands beside the weights: manifest, plan, the bill of materials, folders."""


def check_destination(out: Path, needed_bytes: int, *, force: bool) -> None:
    """See that a bundle may be put at `out` and that its disk has room for it; change nothing.

    Raises:
        InvalidInput: `out` holds something that must not be replaced.
        EnvironmentUnfit: not enough disk space.
    """
    out = out.absolute()
    _check_replaceable(out, force=force)
    check_space(out.parent, needed_bytes + MARGIN_BYTES)


def read_manifest(out: Path) -> Manifest | None:
    """The manifest of a bundle of ours at `out`; nothing when there is none that can be read."""
    path = out / MANIFEST_NAME
    if not path.is_file():  # a pipe would be waited for
        return None
    try:
        return read_document(path, Manifest)
    except InvalidInput:
        return None


def _check_replaceable(out: Path, *, force: bool) -> None:
    if not os.path.lexists(out) or (
        out.is_dir() and not out.is_symlink() and not any(out.iterdir())
    ):
        return
    manifest = read_manifest(out)
    if manifest is None or out.is_symlink():
        raise InvalidInput(
            f"{out} exists and is no bundle of ours; it is left alone",
            next_step="Choose another folder with --out, or move it away.",
        )
    if not force:
        raise InvalidInput(
            f"{out} holds another bundle",
            evidence=f"{manifest.name}, built by version {manifest.tool_version} from "
            f"configuration {manifest.configuration_sha256[:12]}",
            next_step="Replace it with --force, or choose another folder with --out.",
        )


def check_space(folder: Path, needed_bytes: int) -> None:
    """See that the disk under `folder`, which need not exist yet, has room.

    Raises:
        EnvironmentUnfit: it has not; the message says how many bytes are needed.
    """
    existing = next(path for path in (folder, *folder.parents) if path.is_dir())
    available = shutil.disk_usage(existing).free
    if available < needed_bytes:
        raise EnvironmentUnfit(
            f"not enough disk space in {folder}",
            evidence=f"{needed_bytes} bytes are needed, {available} are available",
            next_step="Free some space, or choose a folder on another disk with --out.",
        )


def _prefix(out: Path) -> str:
    return f".{out.name}.building-"


@contextmanager
def building_folder(out: Path) -> Iterator[Path]:
    """A new folder beside `out`, held by a lock that ends with this process, removed at the end.

    The folder of `out` is made where it is missing.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    # Named before it is made: whenever Ctrl-C comes, it is known what to remove.
    outer = out.parent / f"{_prefix(out)}{secrets.token_hex(8)}"
    lock = FileLock(outer / _LOCK_NAME)
    try:
        outer.mkdir(mode=0o700)
        with lock:
            inner = outer / "bundle"
            inner.mkdir()
            yield inner
    finally:
        _remove(outer)


def _remove(outer: Path) -> None:
    """All of it, and its lock last: what a second Ctrl-C leaves is known to be nobody's."""
    for path in (outer / "bundle", outer / "previous", outer):
        remove_tree(path)


def remove_tree(path: Path) -> None:
    """Remove a folder and all in it, as far as that is permitted, however deep it is nested.

    Before Python 3.13 `shutil.rmtree` calls itself for every level, and ends at about 1,000.
    """
    try:
        shutil.rmtree(path, ignore_errors=True)
    except RecursionError:
        _flatten(path)
        shutil.rmtree(path, ignore_errors=True)


def _flatten(root: Path) -> None:
    """Bring every folder below `root` directly under it, where paths are short again."""
    moved = 0
    waiting = [entry.path for entry in os.scandir(root) if entry.is_dir(follow_symlinks=False)]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in list(entries):
                if entry.is_dir(follow_symlinks=False):
                    moved += 1
                    target = root / f".{moved}.{secrets.token_hex(4)}"
                    Path(entry.path).rename(target)
                    waiting.append(str(target))


def remove_leftovers(out: Path) -> None:
    """Remove what was left by those who made `out` and were killed: folders whose lock is free."""
    for outer in out.parent.glob(f"{glob.escape(_prefix(out))}*"):
        if _is_abandoned(outer):
            _rescue_previous(outer, out)
            _remove(outer)


def _is_abandoned(outer: Path) -> bool:
    lock_path = outer / _LOCK_NAME
    if not lock_path.exists():  # killed, or just being made, between two system calls
        return time.time() - outer.stat().st_mtime > _UNLOCKED_GRACE_S
    try:
        with FileLock(lock_path, timeout=0):
            return True
    except Timeout:
        return False


def take_place(building: Path, out: Path) -> None:
    """Rename the new bundle to `out`; what was there waits aside until that has succeeded."""
    previous = building.parent / "previous"
    if out.is_dir() and any(out.iterdir()):
        out.rename(previous)
    try:
        building.rename(out)
    except OSError:
        _rescue_previous(building.parent, out)
        raise


def normalise_folders(folder: Path) -> None:
    """Give folders one mode whatever the umask; files get theirs where they are written."""
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(FOLDER_MODE)


def _rescue_previous(outer: Path, out: Path) -> None:
    """Put a bundle back that was set aside for one that never came."""
    previous = outer / "previous"
    if previous.is_dir() and not out.exists():
        previous.rename(out)
