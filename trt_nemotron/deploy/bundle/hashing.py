"""Hashing of large files, in blocks, with progress; finished ones may be remembered."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from trt_nemotron.deploy.bundle.hash_memory import HashMemory
from trt_nemotron.progress import Progress

_BLOCK_BYTES = 1024 * 1024


class HashMeter:
    """Hashes files one after the other and counts the bytes of all of them together.

    Args:
        total_bytes: the size of everything that will be hashed, for the progress shown.
        memory: of hashes finished before. Without one every byte is read, as a proof must.
        is_proof: read every byte all the same; what is finished is remembered for others.
    """

    def __init__(
        self,
        progress: Progress,
        total_bytes: int,
        memory: HashMemory | None = None,
        *,
        is_proof: bool = False,
    ) -> None:
        self._progress = progress
        self._total = total_bytes
        self._memory = memory
        self._is_proof = is_proof
        self._done = 0

    def sha256(self, path: Path, *, is_own: bool = False) -> str:
        """SHA-256 of the file's content, in hexadecimal.

        Args:
            path: the file.
            is_own: we wrote it ourselves, just now; see `HashMemory.remember`.

        Raises:
            OSError: the file cannot be read.
        """
        known = self._memory.recall(path) if self._memory and not self._is_proof else None
        if known is not None:
            self._count(path.stat().st_size)
            return known
        before, sha256 = self._read(path)
        if self._memory is not None:
            self._memory.remember(path, sha256, before, is_own=is_own)
        return sha256

    def _read(self, path: Path) -> tuple[os.stat_result, str]:
        digest = hashlib.sha256()
        block = memoryview(bytearray(_BLOCK_BYTES))
        with path.open("rb", buffering=0) as file:
            before = os.fstat(file.fileno())
            while size := file.readinto(block):
                digest.update(block[:size])
                self._count(size)
        return before, digest.hexdigest()

    def _count(self, size_bytes: int) -> None:
        self._done += size_bytes
        self._progress.step(self._done, self._total, "B")


def sha256_of_set(hashes: Iterable[tuple[str, str]]) -> str:
    """One hash for a set of (name, hash), whatever order they come in."""
    digest = hashlib.sha256()
    for name, sha256 in sorted(hashes):
        digest.update(f"{sha256}  {name}\n".encode())
    return digest.hexdigest()
