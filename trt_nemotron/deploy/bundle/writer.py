"""Building a bundle: in a folder beside its destination, renamed when it is whole."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from trt_nemotron import __version__
from trt_nemotron.deploy.bundle.destination import (
    building_folder,
    check_destination,
    normalise_folders,
    read_manifest,
    remove_leftovers,
    take_place,
)
from trt_nemotron.deploy.bundle.hash_memory import HashMemory
from trt_nemotron.deploy.bundle.hashing import HashMeter, sha256_of_set
from trt_nemotron.deploy.bundle.names import mode_of
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
from trt_nemotron.deploy.checkpoint.published import as_published
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.protocol import Runtime
from trt_nemotron.deploy.runtimes.staged import is_to_be_finished
from trt_nemotron.deploy.sbom.bill import SBOM_NAME, bill_of_materials
from trt_nemotron.deploy.starters.files import starter_files
from trt_nemotron.document import sha256_of, to_json, write_atomically, write_document
from trt_nemotron.errors import BundleDamaged, CheckpointUnusable
from trt_nemotron.progress import SILENT, Progress


@dataclass(frozen=True, slots=True)
class _Origin:
    """What a bundle follows from: two of the same have the same bytes."""

    configuration_sha256: str
    source_sha256: str
    image: str
    tool_version: str = __version__


def build_bundle(
    out: Path,
    plan: Plan,
    checkpoint: Checkpoint,
    runtime: Runtime,
    progress: Progress = SILENT,
    *,
    force: bool = False,
    image: str = "",
) -> Manifest:
    """Build `plan` into the folder `out`, or find there that it was built already.

    A bundle at `out` with the same plan, checkpoint, image and tool version that verifies is
    reused: a new one would have the same bytes. One that waits for a step which only the device can
    take is built on when this is the device. Whatever else is there is kept, unless it is a
    bundle of ours and `force` is set, be it another one or a damaged one.

    The new one takes its place by a rename: a reader sees the old one, or none for an instant, or
    the new one, never half of one. What a killed build left beside `out` is removed first.

    Args:
        out: the bundle's folder.
        plan: what to build.
        checkpoint: the weights, which are hashed.
        runtime: that of the plan.
        progress: told of what takes long.
        force: replace another or a damaged bundle.
        image: the container image to run, by digest; without it the bundle is not pinned to one.

    Raises:
        InvalidInput: `out` holds something that must not be replaced.
        BundleDamaged: `out` holds this very bundle, but altered, and `force` is not set.
        EnvironmentUnfit: not enough disk space, or a package of the runtime is missing.
        CheckpointUnusable: weights that cannot be built from.
        OSError: as the system says; nothing is left behind.
    """
    out = out.absolute()
    remove_leftovers(out)
    origin = _Origin(sha256_of(plan), _hash_source(checkpoint, progress), image)
    existing = _reuse(out, origin, progress, force=force)
    goes_on = existing is not None and is_to_be_finished(runtime, out / MODEL_FOLDER, plan)
    if existing is not None and not goes_on:
        progress.note(f"already built: {out}")
        return existing
    check_destination(out, runtime.built_bytes(plan, checkpoint), force=force or goes_on)
    with building_folder(out) as building:
        manifest = _write(building, plan, checkpoint, runtime, origin=origin, progress=progress)
        take_place(building, out)
    return manifest


def find_built(
    out: Path,
    plan: Plan,
    checkpoint: Checkpoint,
    progress: Progress = SILENT,
    *,
    image: str = "",
) -> Manifest | None:
    """The manifest of the bundle at `out` if `build_bundle` would reuse it; changes nothing."""
    manifest = read_manifest(out)
    if manifest is None:
        return None
    origin = _Origin(sha256_of(plan), _hash_source(checkpoint, progress), image)
    if origin != _origin_of(manifest):
        return None
    try:
        return verify_bundle(out, progress)
    except BundleDamaged:
        return None


def _write(
    folder: Path,
    plan: Plan,
    checkpoint: Checkpoint,
    runtime: Runtime,
    *,
    origin: _Origin,
    progress: Progress,
) -> Manifest:
    model_folder = folder / MODEL_FOLDER
    model_folder.mkdir()
    loaded = runtime.build(plan, checkpoint, model_folder, progress)
    write_document(folder / PLAN_NAME, plan)
    described = Manifest(
        name=bundle_name(plan),
        tool_version=origin.tool_version,
        target=plan.target,
        runtime=plan.runtime,
        release=plan.release,
        served_model_name=plan.served_model_name,
        configuration_sha256=origin.configuration_sha256,
        model_path=(Path(MODEL_FOLDER) / loaded).as_posix(),
        files=(),
        source_sha256=origin.source_sha256,
        image=origin.image,
    )
    _write_texts(folder, starter_files(runtime, plan, described))
    normalise_folders(folder)
    listed = replace(described, files=_list_files(folder, progress))
    manifest = sealed(replace(listed, files=_with_bill(folder, listed, plan, runtime.image(plan))))
    write_document(folder / MANIFEST_NAME, manifest)
    return manifest


def _write_texts(folder: Path, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode_of(name))


def _with_bill(folder: Path, manifest: Manifest, plan: Plan, image: str) -> tuple[BundleFile, ...]:
    """The files of a bundle and its bill of materials, which holds the hashes of the others."""
    bill = bill_of_materials(manifest, plan, manifest.image or image, _installed_version)
    data = to_json(bill)
    write_atomically(folder / SBOM_NAME, data)
    own = BundleFile(path=SBOM_NAME, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    return tuple(sorted((*manifest.files, own), key=lambda file: file.path))


def _installed_version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _list_files(folder: Path, progress: Progress) -> tuple[BundleFile, ...]:
    """Every file with its hash. Weights that are hard links to the source were hashed as such, and
    are not read again; copies are.
    """
    progress.phase("hashing the bundle")
    paths = {path.relative_to(folder).as_posix(): path for path in _files_below(folder)}
    meter = HashMeter(progress, sum(path.stat().st_size for path in paths.values()), HashMemory())
    return tuple(
        BundleFile(path=name, size_bytes=path.stat().st_size, sha256=meter.sha256(path))
        for name, path in sorted(paths.items())
    )


def _files_below(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if not path.is_dir())


def _hash_source(checkpoint: Checkpoint, progress: Progress) -> str:
    """One hash for the checkpoint; each file is held against what its publisher says of it.

    Files that were hashed before, as they are now, are not read again: a build that was stopped
    goes on with the next file.
    """
    require_files(checkpoint)
    progress.phase("hashing the checkpoint")
    total = sum(file.size_bytes for file in checkpoint.files)
    meter = HashMeter(progress, total, HashMemory())
    folder = source_folder(checkpoint)
    try:
        return sha256_of_set(
            (file.name, as_published(file, meter.sha256(folder / file.name), folder))
            for file in checkpoint.files
        )
    except FileNotFoundError as fault:
        raise CheckpointUnusable(
            "a file of the checkpoint has gone",
            evidence=str(fault.filename),
            next_step="Restore it, or give another checkpoint with --checkpoint.",
        ) from fault


def _origin_of(manifest: Manifest) -> _Origin:
    return _Origin(
        manifest.configuration_sha256, manifest.source_sha256, manifest.image, manifest.tool_version
    )


def _reuse(out: Path, origin: _Origin, progress: Progress, *, force: bool) -> Manifest | None:
    manifest = read_manifest(out)
    if manifest is None or origin != _origin_of(manifest):
        return None
    try:
        return verify_bundle(out, progress)
    except BundleDamaged:
        if force:
            return None
        raise
