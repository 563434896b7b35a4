"""How large a response will probably be, from those before it."""

from bisect import insort

_QUANTILE = 0.1
"""One response in ten is shorter, and its end is seen at the next tick; of the others some last
chunks are read one by one."""

_MOST = 4096


class ResponseSizes:
    """Sizes in bytes of the first whole responses of a loop."""

    __slots__ = ("_sizes",)

    def __init__(self) -> None:
        self._sizes: list[int] = []

    def add(self, size: int) -> None:
        """Take one more into account, as long as they are few."""
        if len(self._sizes) < _MOST:
            insort(self._sizes, size)

    @property
    def expected(self) -> int:
        """What nearly every response reaches; 0 when nothing is known yet."""
        return self._sizes[int(_QUANTILE * len(self._sizes))] if self._sizes else 0
