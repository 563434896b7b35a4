"""From values to places on an axis, and the round numbers at which an axis is marked."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

_STEPS = (1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear or logarithmic axis from `low` to `high`, drawn from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def place(self, value: float) -> float:
        """Where `value` stands; values beyond the axis are put at its end."""
        clamped = min(max(value, self.low), self.high)
        return self.start + (self.end - self.start) * self._share(clamped)

    def ticks(self) -> tuple[float, ...]:
        """Round numbers within the axis: 1, 2, 5 and their tens."""
        return _log_ticks(self.low, self.high) if self.is_log else _ticks(self.low, self.high)

    def _share(self, value: float) -> float:
        if self.is_log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def axis_for(values: Sequence[float], start: float, end: float, *, most_ticks: int = 6) -> Scale:
    """A linear axis from zero, or a logarithmic one when the values span more than a factor of 12.

    Zeros on a logarithmic axis stand at its low end.
    """
    top = max(values, default=0.0)
    positive = sorted(value for value in values if value > 0)
    if positive and top > 12 * positive[len(positive) // 20]:
        low = _round_down(positive[len(positive) // 20])
        return Scale(low, _round_up(top), start, end, is_log=True)
    step = _step(top or 1.0, most_ticks)
    return Scale(0.0, math.ceil((top or 1.0) / step - 1e-9) * step, start, end)


def _ticks(low: float, high: float) -> tuple[float, ...]:
    step = _step(high - low, 6)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return tuple(index * step for index in range(first, last + 1))


def _log_ticks(low: float, high: float) -> tuple[float, ...]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = _STEPS if high / low < 200 else (1.0,)
    marks = (step * 10.0**decade for decade in decades for step in steps)
    edge = high * (1 + 1e-9)
    return tuple(takewhile(lambda m: m <= edge, (m for m in marks if m >= low * (1 - 1e-9))))


def _step(span: float, most: int) -> float:
    """The smallest of 1, 2, 5 times a power of ten that needs at most `most` steps."""
    power = 10.0 ** math.floor(math.log10(span / most))
    return next(s * power for s in (*_STEPS, 10.0) if span / (s * power) <= most + 1e-9)


def _round_down(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return max(step * power for step in _STEPS if step * power <= value * (1 + 1e-9))


def _round_up(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return next(s * power for s in (*_STEPS, 10.0) if s * power >= value * (1 - 1e-9))
