"""Building a bundle: in a folder beside its destination, renamed when it is whole."""

import glob
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from trt_nemotron import __version__
from trt_nemotron.deploy.bundle.hashing import HashMeter, sha256_of_set
from trt_nemotron.deploy.bundle.placing import source_folder
from trt_nemotron.deploy.bundle.reader import verify_bundle
from trt_nemotron.deploy.bundle.values import (
    MANIFEST_NAME,
    MODEL_FOLDER,
    PLAN_NAME,
    BundleFile,
    Manifest,
    bundle_name,
    sealed,
)
from trt_nemotron.deploy.checkpoint.known_model import require_files
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.protocol import Runtime
from trt_nemotron.document import read_document, sha256_of, write_document
from trt_nemotron.errors import (
    BundleDamaged,
    CheckpointUnusable,
    EnvironmentUnfit,
    InvalidInput,
)
from trt_nemotron.progress import SILENT, Progress

_LOCK_NAME = "lock"
_BUNDLE_FOLDER = "bundle"
_UNLOCKED_GRACE_S = 60.0
_MARGIN_BYTES = 4 * 1024 * 1024  # manifest, plan, folders


def build_bundle(
    out: Path,
    plan: Plan,
    checkpoint: Checkpoint,
    runtime: Runtime,
    progress: Progress = SILENT,
    *,
    force: bool = False,
) -> Manifest:
    """Build `plan` into the folder `out`, or find there that it was built already.

    A bundle at `out` with the same plan, checkpoint and tool version that verifies is reused: a
    new one would have the same bytes. Whatever else is there is kept, unless it is a bundle of ours
    and `force` is set, be it another one or a damaged one.

    The new one takes its place by a rename: a reader sees the old one, or none for an instant, or
    the new one, never half of one. What a killed build left beside `out` is removed first.

    Raises:
        InvalidInput: `out` holds something that must not be replaced.
        BundleDamaged: `out` holds this very bundle, but altered, and `force` is not set.
        EnvironmentUnfit: not enough disk space, or a package of the runtime is missing.
        CheckpointUnusable: weights that cannot be built from.
        OSError: as the system says; nothing is left behind.
    """
    out = out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(out)
    source_sha256 = _hash_source(checkpoint, progress)
    existing = _reuse(out, plan, source_sha256, progress, force=force)
    if existing is not None:
        progress.note(f"already built: {out}")
        return existing
    check_destination(out, runtime.built_bytes(plan, checkpoint), force=force)
    with _building_folder(out) as building:
        manifest = _write(
            building, plan, checkpoint, runtime, source_sha256=source_sha256, progress=progress
        )
        _take_place(building, out)
    return manifest


def find_built(
    out: Path, plan: Plan, checkpoint: Checkpoint, progress: Progress = SILENT
) -> Manifest | None:
    """The manifest of the bundle at `out` if `build_bundle` would reuse it; changes nothing."""
    manifest = _read_manifest(out)
    if manifest is None or not _is_same_build(manifest, plan, _hash_source(checkpoint, progress)):
        return None
    try:
        return verify_bundle(out, progress)
    except BundleDamaged:
        return None


def check_destination(out: Path, needed_bytes: int, *, force: bool) -> None:
    """See that a bundle may be put at `out` and that its disk has room for it; change nothing.

    Raises:
        InvalidInput: `out` holds something that must not be replaced.
        EnvironmentUnfit: not enough disk space.
    """
    out = out.absolute()
    _check_replaceable(out, force=force)
    _check_space(out.parent, needed_bytes + _MARGIN_BYTES)


def _write(
    folder: Path,
    plan: Plan,
    checkpoint: Checkpoint,
    runtime: Runtime,
    *,
    source_sha256: str,
    progress: Progress,
) -> Manifest:
    model_folder = folder / MODEL_FOLDER
    model_folder.mkdir()
    loaded = runtime.build(plan, checkpoint, model_folder, progress)
    write_document(folder / PLAN_NAME, plan)
    _normalise_folders(folder)
    manifest = Manifest(
        name=bundle_name(plan),
        tool_version=__version__,
        target=plan.target,
        runtime=plan.runtime,
        release=plan.release,
        served_model_name=plan.served_model_name,
        configuration_sha256=sha256_of(plan),
        model_path=(Path(MODEL_FOLDER) / loaded).as_posix(),
        files=_list_files(folder, progress),
        source_sha256=source_sha256,
    )
    manifest = sealed(manifest)
    write_document(folder / MANIFEST_NAME, manifest)
    return manifest


def _list_files(folder: Path, progress: Progress) -> tuple[BundleFile, ...]:
    progress.phase("hashing the bundle")
    paths = {path.relative_to(folder).as_posix(): path for path in _files_below(folder)}
    meter = HashMeter(progress, sum(path.stat().st_size for path in paths.values()))
    return tuple(
        BundleFile(path=name, size_bytes=path.stat().st_size, sha256=meter.sha256(path))
        for name, path in sorted(paths.items())
    )


def _files_below(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if not path.is_dir())


def _normalise_folders(folder: Path) -> None:
    """Folders get one mode whatever the umask; files get theirs where they are written."""
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)


def _hash_source(checkpoint: Checkpoint, progress: Progress) -> str:
    require_files(checkpoint)
    progress.phase("hashing the checkpoint")
    meter = HashMeter(progress, sum(file.size_bytes for file in checkpoint.files))
    folder = source_folder(checkpoint)
    try:
        return sha256_of_set(
            (file.name, meter.sha256(folder / file.name)) for file in checkpoint.files
        )
    except FileNotFoundError as fault:
        raise CheckpointUnusable(
            "a file of the checkpoint has gone",
            evidence=str(fault.filename),
            next_step="Restore it, or give another checkpoint with --checkpoint.",
        ) from fault


def _read_manifest(out: Path) -> Manifest | None:
    """The manifest of a bundle of ours at `out`; nothing when there is none that can be read."""
    try:
        return read_document(out / MANIFEST_NAME, Manifest)
    except InvalidInput:
        return None


def _is_same_build(manifest: Manifest, plan: Plan, source_sha256: str) -> bool:
    return (manifest.configuration_sha256, manifest.source_sha256, manifest.tool_version) == (
        sha256_of(plan),
        source_sha256,
        __version__,
    )


def _reuse(
    out: Path, plan: Plan, source_sha256: str, progress: Progress, *, force: bool
) -> Manifest | None:
    manifest = _read_manifest(out)
    if manifest is None or not _is_same_build(manifest, plan, source_sha256):
        return None
    try:
        return verify_bundle(out, progress)
    except BundleDamaged:
        if force:
            return None
        raise


def _check_replaceable(out: Path, *, force: bool) -> None:
    if not os.path.lexists(out) or (
        out.is_dir() and not out.is_symlink() and not any(out.iterdir())
    ):
        return
    manifest = _read_manifest(out)
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


def _check_space(folder: Path, needed_bytes: int) -> None:
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
def _building_folder(out: Path) -> Iterator[Path]:
    """A new folder beside `out`, held by a lock that ends with this process, removed at the end."""
    outer = Path(tempfile.mkdtemp(dir=out.parent, prefix=_prefix(out)))
    lock = FileLock(outer / _LOCK_NAME)
    try:
        with lock:
            bundle = outer / _BUNDLE_FOLDER
            bundle.mkdir()
            yield bundle
    finally:
        shutil.rmtree(outer, ignore_errors=True)


def _remove_leftovers(out: Path) -> None:
    """Remove what builds of `out` left that were killed: folders whose lock nobody holds."""
    for outer in out.parent.glob(f"{glob.escape(_prefix(out))}*"):
        if _is_abandoned(outer):
            _rescue_previous(outer, out)
            shutil.rmtree(outer, ignore_errors=True)


def _is_abandoned(outer: Path) -> bool:
    lock_path = outer / _LOCK_NAME
    if not lock_path.exists():  # killed, or just being made, between two system calls
        return time.time() - outer.stat().st_mtime > _UNLOCKED_GRACE_S
    try:
        with FileLock(lock_path, timeout=0):
            return True
    except Timeout:
        return False


def _take_place(building: Path, out: Path) -> None:
    """Rename the new bundle to `out`; what was there waits aside until that has succeeded."""
    previous = building.parent / "previous"
    if out.is_dir() and any(out.iterdir()):
        out.rename(previous)
    try:
        building.rename(out)
    except OSError:
        _rescue_previous(building.parent, out)
        raise


def _rescue_previous(outer: Path, out: Path) -> None:
    """Put a bundle back that was set aside for one that never came."""
    previous = outer / "previous"
    if previous.is_dir() and not out.exists():
        previous.rename(out)
