"""How long the phases of a start took, from the times that stand in its log."""

import re
from collections.abc import Iterable
from datetime import datetime, timezone

from trt_nemotron.document import Value

_TIMES: tuple[tuple["re.Pattern[str]", str], ...] = (
    (re.compile(r"\[(\d\d/\d\d/\d{4}-\d\d:\d\d:\d\d)\]"), "%m/%d/%Y-%H:%M:%S"),
    (re.compile(r"\b(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)"), "%Y-%m-%d %H:%M:%S"),
    (re.compile(r"\b(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)"), "%Y-%m-%dT%H:%M:%S"),
)
"""A time in a line, and how it is read; one clock wrote them all, so its zone does not matter."""


class PhaseTime(Value, frozen=True, kw_only=True):
    """A phase of a start.

    Attributes:
        seconds: until the next one began, or the log's last time; to the second, as the log has it;
            nothing where its lines bear no time.
    """

    name: str
    seconds: float | None = None


def phase_times(log: str, phases: Iterable[tuple[str, str]]) -> tuple[PhaseTime, ...]:
    """The phases that the log shows, in order; `phases` as a `Launch` has them."""
    waiting = [(re.compile(pattern), name) for pattern, name in phases]
    begun: list[tuple[str, datetime | None]] = []
    now: datetime | None = None
    for line in log.splitlines():
        now = _time_in(line) or now
        for index, (pattern, name) in enumerate(waiting):
            if pattern.search(line):
                begun.append((name, now))
                waiting = waiting[index + 1 :]
                break
    ends = [*(begin for _, begin in begun[1:]), now]
    return tuple(
        PhaseTime(name=name, seconds=_between(begin, end))
        for (name, begin), end in zip(begun, ends, strict=False)  # none, and yet an end
    )


def _between(begin: datetime | None, end: datetime | None) -> float | None:
    """Seconds; nothing where a time is missing or a clock was set back."""
    if begin is None or end is None or end < begin:
        return None
    return (end - begin).total_seconds()


def _time_in(line: str) -> datetime | None:
    for pattern, form in _TIMES:
        if found := pattern.search(line):
            try:
                return datetime.strptime(found.group(1), form).replace(tzinfo=timezone.utc)
            except ValueError:  # digits that are no time
                continue
    return None
