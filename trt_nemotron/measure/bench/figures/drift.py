"""How a latency moved while a leg went on, as a value."""

from typing import Literal

from trt_nemotron.document import Value

DriftingName = Literal["ttft_ms", "tpot_ms"]


class Drift(Value, frozen=True, kw_only=True):
    """How one latency moved while a leg went on, by medians over windows of equal length.

    Attributes:
        figure: `ttft_ms` or `tpot_ms`.
        windows: how many there were; fewer than ten say nothing.
        per_hour_ms: the median slope between any two windows, in milliseconds an hour.
        trend_chance: how often windows without a trend would show one as clear as this.
        change_s: when the level changed most, in seconds from the leg's begin; -1 for never.
        before_ms, after_ms: medians of the windows on both sides of that.
        change_chance: how often windows without a change would show one as clear as this, at most.
        is_found: whether one of them is too clear for chance and larger than a tenth.
    """

    figure: DriftingName
    windows: int
    per_hour_ms: float
    trend_chance: float
    change_s: float
    before_ms: float
    after_ms: float
    change_chance: float
    is_found: bool
