"""Requests as bytes, built ahead of their sending; what was sent is not kept."""

from collections import deque
from collections.abc import Callable, Sequence

PREBUILT_BYTES = 64 * 1024 * 1024
"""Built before the clock runs; what a run needs besides is built on the way, one for each that is
taken."""


class Stock:
    """Requests in the order of their numbers.

    Args:
        build: the bytes of request number n, from 0.
        count: how many there are; `None` for any number.
        ahead: built before the first is taken, where there is no count.
    """

    __slots__ = ("_build", "_built", "_count", "_next")

    def __init__(self, build: Callable[[int], bytes], count: int | None, ahead: int = 1024) -> None:
        self._build = build
        self._count = count
        self._next = 0
        self._built: deque[bytes] = deque()
        size = 0
        wanted = ahead if count is None else count
        while self._next < wanted and size < PREBUILT_BYTES:
            self._append()
            size += len(self._built[-1])

    @classmethod
    def of(cls, requests: Sequence[bytes]) -> "Stock":
        """What was built elsewhere."""
        stock = cls(requests.__getitem__, 0)
        stock._count = stock._next = len(requests)
        stock._built.extend(requests)
        return stock

    @property
    def count(self) -> int | None:
        """How many there are in all."""
        return self._count

    def pop(self) -> bytes:
        """The next request."""
        if not self._built:
            self._append()
        return self._built.popleft()

    def refill(self) -> None:
        """Build one more where some are still to come; called when a request has ended."""
        if self._count is None or self._next < self._count:
            self._append()

    def _append(self) -> None:
        self._built.append(self._build(self._next))
        self._next += 1
