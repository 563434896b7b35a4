"""Reading a bundle and proving that it is whole."""

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from trt_nemotron.deploy.bundle.hashing import HashMeter
from trt_nemotron.deploy.bundle.names import check_apart, check_inside
from trt_nemotron.deploy.bundle.values import (
    MANIFEST_NAME,
    OBSERVED_NAME,
    PLAN_NAME,
    BundleFile,
    Manifest,
)
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.document import DocumentT, parse_document
from trt_nemotron.errors import BundleDamaged, InvalidInput
from trt_nemotron.progress import SILENT, Progress

_SEAL = re.compile(rb'"seal_sha256": "([0-9a-f]{64})"\n}\n\Z')
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
    manifest = parse_manifest(_read_part(path, MANIFEST_NAME))
    _check_listing(path, manifest)
    plan_data = _read_part(path, PLAN_NAME)
    _check_configuration(plan_data, manifest)
    plan = _parse_part(plan_data, PLAN_NAME, Plan)
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


def _check_names(manifest: Manifest) -> None:
    """Every path that a manifest names stays inside the bundle and is a file of its own.

    Raises:
        BundleDamaged: naming the one that does not.
    """
    for name in (*(file.path for file in manifest.files), manifest.model_path):
        check_inside(name)
    check_apart([file.path for file in manifest.files])


def parse_manifest(data: bytes) -> Manifest:
    """The manifest in a file of its own; its seal fits, and its paths are fit for a bundle.

    Raises:
        BundleDamaged: it is none, it was changed, or it names what cannot be in a bundle.
    """
    manifest = _parse_part(data, MANIFEST_NAME, Manifest)
    _check_seal(data)
    _check_names(manifest)
    return manifest


def _check_seal(data: bytes) -> None:
    """Nothing else holds the hash of the manifest, so it holds its own, as its last field.

    The bytes are what is sealed, not their meaning: a changed blank shows too, and a manifest of an
    older version, with fewer fields, is as good as it was.

    Raises:
        BundleDamaged: `data` is not what was written.
    """
    found = _SEAL.search(data)
    unsealed = data[: found.start(1)] + data[found.end(1) :] if found else b""
    if found is None or hashlib.sha256(unsealed).hexdigest().encode() != found.group(1):
        raise _damaged(f"{MANIFEST_NAME} was changed", "its seal does not fit its content")


def _read_part(path: Path, name: str) -> bytes:
    part = path / name
    if part.is_symlink() or not part.is_file():
        raise _damaged(f"{name} is missing or is no plain file", str(part))
    return part.read_bytes()


def _parse_part(data: bytes, name: str, kind: type[DocumentT]) -> DocumentT:
    try:
        return parse_document(data, kind, origin=name)
    except InvalidInput as fault:
        raise _damaged(f"{name} cannot be read", f"{fault.message}\n{fault.evidence}") from fault


def _check_configuration(plan: bytes, manifest: Manifest) -> None:
    found = hashlib.sha256(plan).hexdigest()
    if found != manifest.configuration_sha256:
        raise _damaged(
            f"{PLAN_NAME} is not the plan this bundle was built from",
            f"its hash is {found}, the manifest says {manifest.configuration_sha256}",
        )


def _check_listing(path: Path, manifest: Manifest) -> None:
    """Every file that is listed is there with its size, and nothing else is."""
    expected = {file.path: file for file in manifest.files}
    sizes = dict(_walk(path))
    sizes.pop(MANIFEST_NAME, None)
    for name in sorted(sizes.keys() - expected.keys()):
        if not _is_observed(name):
            raise _damaged(
                f"{name} does not belong to this bundle", "the manifest does not list it"
            )
    for name, file in sorted(expected.items()):
        _check_size(file, sizes.get(name))


def _is_observed(name: str) -> bool:
    """What a start keeps in a bundle, or is just writing, or was writing when it was killed."""
    return name == OBSERVED_NAME or name.startswith(f".{OBSERVED_NAME}.")


def _check_size(file: BundleFile, size_bytes: int | None) -> None:
    if size_bytes is None:
        raise _damaged(f"{file.path} is missing", "the manifest lists it")
    if size_bytes != file.size_bytes:
        raise _damaged(
            f"{file.path} is not what was built",
            f"it has {size_bytes} bytes, the manifest says {file.size_bytes}",
        )


def _walk(root: Path) -> Iterator[tuple[str, int]]:
    """(path relative to the bundle, size) of every file; links are an error, wherever they lead.

    A link makes a bundle depend on something outside of it, or loads what nobody hashed.
    """
    folders = [root]  # no recursion: folders may lie in one another deeper than Python goes
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                path = Path(entry.path)
                name = path.relative_to(root).as_posix()
                mode = entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode):
                    folders.append(path)
                elif stat.S_ISREG(mode):
                    yield name, entry.stat(follow_symlinks=False).st_size
                else:
                    kind = f"a link to {path.readlink()}" if stat.S_ISLNK(mode) else "no plain file"
                    raise _damaged(f"{name} does not belong to this bundle", f"it is {kind}")


def _damaged(message: str, evidence: str) -> BundleDamaged:
    return BundleDamaged(f"bundle damaged: {message}", evidence=evidence, next_step=_REBUILD)
