"""Of an open loop: what was offered, what was served, and whether the server fell behind.

A server that is offered more than it serves lets its requests wait longer and longer: the time from
the meant start to the end grows with the clock. That growth decides, not the rates, which a long
last request or the chance of arrivals would blur.
"""

from collections.abc import Sequence
from statistics import median

from trt_nemotron.measure.bench.figures.request_figures import start_ns
from trt_nemotron.measure.bench.figures.trend import find_slope, window_medians
from trt_nemotron.measure.bench.values import RequestRecord

MOST_GROWTH = 0.05
"""Seconds that a request takes longer for each second that passes: a backlog of a twentieth."""
MOST_CHANCE = 0.01
FEWEST_REQUESTS = 20
_WINDOWS = 10
_NS_PER_S = 1e9


def offered_rps(records: Sequence[RequestRecord]) -> float | None:
    """The rate of the schedule, as it was drawn; `None` in a closed loop or from one request."""
    times = sorted(record.intended_ns for record in records)
    if len(times) < 2 or times[0] < 0 or times[-1] == times[0]:
        return None
    return (len(times) - 1) * _NS_PER_S / (times[-1] - times[0])


def achieved_rps(answered: Sequence[RequestRecord]) -> float | None:
    """The rate at which good requests ended, from the first end to the last."""
    times = sorted(record.finished_ns for record in answered)
    if len(times) < 2 or times[-1] == times[0]:
        return None
    return (len(times) - 1) * _NS_PER_S / (times[-1] - times[0])


def is_behind(records: Sequence[RequestRecord]) -> bool:
    """Whether requests of an open loop took longer and longer, clearly and by much.

    By more than `MOST_GROWTH` of the time that passed, over the leg by more than a request takes,
    and so steadily that chance shows it once in a hundred legs. Failed requests count with the time
    they took.
    """
    timed = sorted(records, key=lambda record: record.intended_ns)
    if len(timed) < FEWEST_REQUESTS or timed[0].intended_ns < 0:
        return False
    starts = [start_ns(record) / _NS_PER_S for record in timed]
    taken = [(record.finished_ns - start_ns(record)) / _NS_PER_S for record in timed]
    middles, medians = window_medians(starts, taken, _WINDOWS)
    if len(medians) < _WINDOWS // 2:
        return False
    slope = find_slope(middles, medians)
    grown = slope.value * (starts[-1] - starts[0])
    served = median((record.finished_ns - record.sent_ns) / _NS_PER_S for record in timed)
    return slope.value > MOST_GROWTH and slope.chance <= MOST_CHANCE and grown > served
