"""Whether an engine file is whole: told from the file alone, and from its record.

No GPU is here to load it. What can be said without one: it has the bytes and the hash that the
compiling process counted, it is no smaller than the weights it must hold, and its own header
agrees. The header is not documented; TensorRT-RTX 1.7.1 begins an engine with `vtrt` and has the
size of the whole file in the eight bytes from 16 on. An engine that begins otherwise is not judged
by it.
"""

from pathlib import Path

from trt_nemotron.deploy.bundle.hashing import HashMeter
from trt_nemotron.errors import BundleDamaged
from trt_nemotron.progress import SILENT, Progress

_MAGIC = b"vtrt"
_SIZE_AT = 16
_HEADER_BYTES = 24


def check_engine(
    path: Path,
    *,
    size_bytes: int,
    sha256: str,
    weight_bytes: int,
    progress: Progress = SILENT,
) -> None:
    """Check the engine at `path`.

    Args:
        path: of the engine.
        size_bytes: that the compiler counted.
        sha256: that the compiler counted.
        weight_bytes: of the network; an engine holds them all.
        progress: for large ones.

    Raises:
        BundleDamaged: missing, empty, cut short, or altered.
    """
    if not path.is_file():
        raise _damaged(path, "is not there", "the compiler said that it was written")
    found = path.stat().st_size
    stated = _stated_size(path)
    if stated is not None and stated != found:
        raise _damaged(
            path, "is cut short", f"its header says {stated:,} bytes, {found:,} are there"
        )
    if found != size_bytes:
        raise _damaged(
            path, "is cut short", f"{size_bytes:,} bytes were compiled, {found:,} are there"
        )
    if found < weight_bytes:
        raise _damaged(
            path,
            "cannot hold the network",
            f"{found:,} bytes, its weights alone are {weight_bytes:,}",
        )
    progress.phase(f"verifying {path.name}")
    if HashMeter(progress, found).sha256(path) != sha256:
        raise _damaged(path, "has been altered", "its SHA-256 is not the one compiled")


def _stated_size(path: Path) -> int | None:
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        return None
    return int.from_bytes(header[_SIZE_AT:_HEADER_BYTES], "little")


def _damaged(path: Path, what: str, evidence: str) -> BundleDamaged:
    return BundleDamaged(
        f"the engine {path.name} {what}",
        evidence=evidence,
        next_step="Run the same command again: it compiles this engine anew and keeps the others.",
    )
