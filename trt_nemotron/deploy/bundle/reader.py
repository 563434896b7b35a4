"""Reading a bundle and proving that it is whole."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from trt_nemotron.deploy.bundle.hashing import HashMeter
from trt_nemotron.deploy.bundle.values import MANIFEST_NAME, PLAN_NAME, BundleFile, Manifest, sealed
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.document import DocumentT, read_document, sha256_of, to_json
from trt_nemotron.errors import BundleDamaged, InvalidInput
from trt_nemotron.progress import SILENT, Progress

_REBUILD = "Build it again with `trt-nemotron build --force`."


def read_bundle(path: Path) -> tuple[Manifest, Plan]:
    """The manifest and the plan of a bundle; names and sizes are checked, contents are not.

    Raises:
        InvalidInput: there is no such folder.
        BundleDamaged: it is not a whole bundle; the message names the file.
    """
    if not path.is_dir():
        raise InvalidInput(
            f"there is no bundle at {path}",
            next_step="Build one with `trt-nemotron build`, or check the path.",
        )
    manifest = _read_part(path, MANIFEST_NAME, Manifest)
    _check_seal(path, manifest)
    _check_listing(path, manifest)
    plan = _read_part(path, PLAN_NAME, Plan)
    _check_configuration(manifest, plan)
    return manifest, plan


def verify_bundle(path: Path, progress: Progress = SILENT) -> Manifest:
    """Re-hash every file of a bundle against its manifest.

    Raises:
        InvalidInput: there is no such folder.
        BundleDamaged: a file is missing, added, altered, or not a plain file; or a document in it
            has another schema. The message names it.
    """
    manifest, _ = read_bundle(path)
    progress.phase("hashing the bundle")
    meter = HashMeter(progress, sum(file.size_bytes for file in manifest.files))
    for file in manifest.files:
        found = meter.sha256(path / file.path)
        if found != file.sha256:
            raise _damaged(
                f"{file.path} is not what was built",
                f"SHA-256 is {found}, the manifest says {file.sha256}",
            )
    return manifest


def _read_part(path: Path, name: str, kind: type[DocumentT]) -> DocumentT:
    part = path / name
    if part.is_symlink() or not part.is_file():
        raise _damaged(f"{name} is missing or is no plain file", str(part))
    try:
        return read_document(part, kind)
    except InvalidInput as fault:
        raise _damaged(f"{name} cannot be read", f"{fault.message}\n{fault.evidence}") from fault


def _check_seal(path: Path, manifest: Manifest) -> None:
    """Nothing else holds the hash of the manifest, so it holds its own; and it is written in one
    way only, so a changed blank shows too.
    """
    expected = to_json(sealed(manifest))
    if (path / MANIFEST_NAME).read_bytes() != expected:
        raise _damaged(f"{MANIFEST_NAME} was changed", "its seal does not fit its content")


def _check_configuration(manifest: Manifest, plan: Plan) -> None:
    found = sha256_of(plan)
    if found != manifest.configuration_sha256:
        raise _damaged(
            f"{PLAN_NAME} is not the plan this bundle was built from",
            f"its hash is {found}, the manifest says {manifest.configuration_sha256}",
        )


def _check_listing(path: Path, manifest: Manifest) -> None:
    """Every file that is listed is there with its size, and nothing else is."""
    expected = {file.path: file for file in manifest.files}
    for name in (*expected, manifest.model_path):
        _check_inside(name)
    sizes = dict(_walk(path, path))
    sizes.pop(MANIFEST_NAME, None)
    for name in sorted(sizes.keys() - expected.keys()):
        raise _damaged(f"{name} does not belong to this bundle", "the manifest does not list it")
    for name, file in sorted(expected.items()):
        _check_size(file, sizes.get(name))


def _check_size(file: BundleFile, size_bytes: int | None) -> None:
    if size_bytes is None:
        raise _damaged(f"{file.path} is missing", "the manifest lists it")
    if size_bytes != file.size_bytes:
        raise _damaged(
            f"{file.path} is not what was built",
            f"it has {size_bytes} bytes, the manifest says {file.size_bytes}",
        )


def _check_inside(name: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\\" in name:
        raise _damaged(f"the manifest names {name!r}", "a path in a bundle stays inside it")


def _walk(folder: Path, root: Path) -> Iterator[tuple[str, int]]:
    """(path relative to the bundle, size) of every file; links are an error, wherever they lead.

    A link makes a bundle depend on something outside of it, or loads what nobody hashed.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            path = Path(entry.path)
            name = path.relative_to(root).as_posix()
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                yield from _walk(path, root)
            elif stat.S_ISREG(mode):
                yield name, entry.stat(follow_symlinks=False).st_size
            else:
                kind = f"a link to {path.readlink()}" if stat.S_ISLNK(mode) else "no plain file"
                raise _damaged(f"{name} does not belong to this bundle", f"it is {kind}")


def _damaged(message: str, evidence: str) -> BundleDamaged:
    return BundleDamaged(f"bundle damaged: {message}", evidence=evidence, next_step=_REBUILD)
