"""What an archive of a bundle looks like: which files, in which order, how many bytes in all.

    NAME/manifest.json    first, so that whoever unpacks knows what must follow
    NAME/...              every file that it lists, in its order, and nothing else

`NAME` is the bundle's own, not its folder's: the same bundle gives the same bytes wherever it lies.
"""

from collections.abc import Iterator

from trt_nemotron.deploy.archive.header import (
    BLOCK_BYTES,
    RECORD_BYTES,
    Header,
    HeaderUnfit,
    padding,
)
from trt_nemotron.deploy.bundle.names import check_inside, mode_of
from trt_nemotron.deploy.bundle.values import MANIFEST_NAME, BundleFile, Manifest
from trt_nemotron.errors import BundleDamaged, InvalidInput

SUFFIX = ".tar"
_END_BYTES = 2 * BLOCK_BYTES


def headers(manifest: Manifest, manifest_bytes: int) -> Iterator[tuple[str, Header]]:
    """(path in the bundle, header) of every file, in the archive's order.

    Args:
        manifest: what the archive is to hold.
        manifest_bytes: size of its own file.
    """
    own = BundleFile(path=MANIFEST_NAME, size_bytes=manifest_bytes, sha256="")
    for file in (own, *manifest.files):
        name = f"{manifest.name}/{file.path}"
        yield file.path, Header(name, file.size_bytes, mode_of(file.path))


def archive_bytes(manifest: Manifest, manifest_bytes: int) -> int:
    """Size of the archive.

    Raises:
        InvalidInput: a path is too long for one.
    """
    total = 0
    for _, header in headers(manifest, manifest_bytes):
        _check_writable(header)
        total += BLOCK_BYTES + header.size_bytes + padding(header.size_bytes)
    return total + ending(total)


def ending(written_bytes: int) -> int:
    """Zeros that end an archive of which so much is written."""
    return _END_BYTES + padding(written_bytes + _END_BYTES, RECORD_BYTES)


def check_name(manifest: Manifest) -> None:
    """See that the bundle's name is fit for a folder.

    Raises:
        BundleDamaged: it is not.
    """
    check_inside(manifest.name)
    if "/" in manifest.name or manifest.name.startswith("-"):
        raise BundleDamaged(
            f"bundle damaged: it is called {manifest.name!r}",
            evidence="a bundle is called as its folder could be",
            next_step="Build it again with `trt-nemotron build --force`.",
        )


def _check_writable(header: Header) -> None:
    try:
        header.encoded()
    except HeaderUnfit as fault:
        raise InvalidInput(
            f"the bundle cannot be packed: {fault}",
            evidence="a tar archive has room for about 250 bytes of a path",
            next_step="Build it with a shorter --model-name or checkpoint folder.",
        ) from fault
