"""A server's log: its end, what is new in it, and what it says about a failure."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from trt_nemotron.facts.release import KnownFailure

_BLOCK = 65536
_SEARCHED_BYTES = 1 << 20


class LogReader:
    """Reads what was appended to a log since the last look; there may be no file yet."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self._path = path
        self._offset = offset
        self._rest = b""

    def new_lines(self) -> list[str]:
        """Lines completed since the last call; the beginning of the next one is kept back."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [_text(line) for line in lines]


def read_tail(path: Path, lines: int, end: int | None = None, block: int = _BLOCK) -> list[str]:
    """The last `lines` lines of a log, without reading the rest; empty when there is no file.

    Args:
        path: the log.
        lines: how many at most.
        end: what stands behind this many bytes is left out.
        block: bytes read at a time, from the end backwards.
    """
    if lines <= 0:
        return []
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            start = size if end is None else min(end, size)
            data = b""
            while start > 0 and data.count(b"\n") <= lines:
                step = min(block, start)
                start -= step
                file.seek(start)
                data = file.read(step) + data
    except FileNotFoundError:
        return []
    return [_text(line) for line in data.splitlines()][-lines:]


def explain(path: Path, failures: Iterable[KnownFailure]) -> KnownFailure | None:
    """The first known failure that a line near the end of the log matches."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _SEARCHED_BYTES))
            text = _text(file.read())
    except FileNotFoundError:
        return None
    for failure in failures:
        if re.search(failure.pattern, text, re.MULTILINE):
            return failure
    return None


def _text(data: bytes) -> str:
    return data.decode(errors="replace").rstrip("\r")
