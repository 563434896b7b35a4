"""Which of a leg's requests are one worker's: dealt beforehand, each to exactly one."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """One worker's part of what is numbered from 0 on.

    Numbers are dealt in rounds. Of an open loop a round has one number for each worker, so the
    merged schedule is the schedule. Of a closed loop it has one for each stream, so a worker with
    more streams gets more in proportion.

    Attributes:
        worker: this one, from 0.
        workers: how many take part.
        round: numbers of one round; at least as many as there are workers.
    """

    worker: int = 0
    workers: int = 1
    round: int = 1

    @property
    def _each(self) -> int:
        return self.count(self.round)

    def count(self, numbers: int) -> int:
        """How many of the numbers below `numbers` are this worker's."""
        whole, rest = divmod(numbers, self.round)
        each = len(range(self.worker, self.round, self.workers))
        return whole * each + len(range(self.worker, rest, self.workers))

    def streams(self, streams: int) -> int:
        """How many of a leg's streams are this worker's."""
        return len(range(self.worker, streams, self.workers))

    def number(self, place: int) -> int:
        """The number that is this worker's at `place`, from 0."""
        whole, rest = divmod(place, self._each)
        return whole * self.round + self.worker + rest * self.workers


WHOLE = Share()
"""Of a run without workers."""


def deal(streams: int, workers: int, *, is_closed: bool) -> tuple[Share, ...]:
    """The shares of a leg with `streams` streams; no worker without a stream takes part."""
    count = min(streams, workers)
    size = streams if is_closed else count
    return tuple(Share(worker, count, size) for worker in range(count))
