"""Hashing of large files, in blocks, with progress."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from trt_nemotron.progress import Progress

_BLOCK_BYTES = 4 * 1024 * 1024


class HashMeter:
    """Hashes files one after the other and counts the bytes of all of them together.

    Args:
        total_bytes: the size of everything that will be hashed, for the progress shown.
    """

    def __init__(self, progress: Progress, total_bytes: int) -> None:
        self._progress = progress
        self._total = total_bytes
        self._done = 0

    def sha256(self, path: Path) -> str:
        """SHA-256 of the file's content, in hexadecimal.

        Raises:
            OSError: the file cannot be read.
        """
        digest = hashlib.sha256()
        block = memoryview(bytearray(_BLOCK_BYTES))
        with path.open("rb", buffering=0) as file:
            while size := file.readinto(block):
                digest.update(block[:size])
                self._done += size
                self._progress.step(self._done, self._total, "B")
        return digest.hexdigest()


def sha256_of_set(hashes: Iterable[tuple[str, str]]) -> str:
    """One hash for a set of (name, hash), whatever order they come in."""
    digest = hashlib.sha256()
    for name, sha256 in sorted(hashes):
        digest.update(f"{sha256}  {name}\n".encode())
    return digest.hexdigest()
