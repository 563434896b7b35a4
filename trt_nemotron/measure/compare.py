"""Several measurements side by side, leg by leg and figure by figure, against the first. Pure.

Each run is one sample of how such runs come out, and how much they differ among themselves no
single run shows. So nothing is decided here: `explained` says only whether the difference lies
within what chance among the requests of these runs, and the client's own error, account for.
Whether a change made a difference, at a stated error rate, `gate --ab` finds out.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

import msgspec

from trt_nemotron.document import Document, Value
from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.bench.figures.summarise import summarise
from trt_nemotron.measure.bench.figures.summary import LegSummary, Reading, Slo, Summary
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.key import key_differences, key_of
from trt_nemotron.measure.gate.metrics import METRICS
from trt_nemotron.measure.gate.values import Direction

COMPARED = (
    "ttft_p50_ms",
    "ttft_p99_ms",
    "tpot_p50_ms",
    "tpot_p99_ms",
    "itl_p50_ms",
    "itl_p99_ms",
    "e2e_p50_ms",
    "e2e_p99_ms",
    "tokens_per_s",
    "achieved_rps",
    "goodput_rps",
    "error_share",
)
CAVEAT = (
    "each file is one run: limits hold for the requests within it, and runs of one server differ "
    "by more than that; `trt-nemotron gate --ab` decides whether a change made a difference"
)
_OPEN = frozenset({"achieved_rps"})
"""Say something of open loops only; more of them is better."""

Explained = Literal["within_noise", "beyond_noise", "no_limits", "missing", "first"]


class ComparedRun(Value, frozen=True, kw_only=True):
    """One of the files.

    Attributes:
        name: as the reader calls it; unique among them.
        differences: fields of environment, work and clock in which it is not like the first.
        invalid_reasons: why its figures may not be judged at all.
    """

    name: str
    started_at: str
    target: str
    model: str
    runtime: str
    clock: str
    differences: tuple[str, ...] = ()
    invalid_reasons: tuple[str, ...] = ()


class ComparedFigure(Value, frozen=True, kw_only=True):
    """One figure of one run in one leg.

    Attributes:
        value: `None` where the run has none; `reason` says why.
        ratio: to the first run's; `None` without both.
        ratio_low, ratio_high: the least and most it can be, from the limits of both.
        explained: see the module; `no_limits` where a figure is one number of the whole run.
        is_worse: whether it lies on the worse side of the first run's.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    samples: int = 0
    reason: str = ""
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    explained: Explained = "missing"
    is_worse: bool = False


class ComparedMetric(Value, frozen=True, kw_only=True):
    """One metric of a leg: a figure for each run, in their order."""

    metric: str
    direction: Direction
    figures: tuple[ComparedFigure, ...]


class ComparedLeg(Value, frozen=True, kw_only=True):
    """One leg.

    Attributes:
        missing: names of the runs that did not measure it.
    """

    title: str
    leg: Leg
    metrics: tuple[ComparedMetric, ...]
    missing: tuple[str, ...] = ()


class Comparison(Document, frozen=True, kw_only=True):
    """Everything side by side.

    Attributes:
        is_comparable: whether all runs are alike in everything that a figure depends on, and valid.
        caveat: what must stand beside any use of it.
    """

    SCHEMA: ClassVar[str] = "trt-nemotron/comparison/1"

    runs: tuple[ComparedRun, ...]
    legs: tuple[ComparedLeg, ...]
    is_comparable: bool
    confidence: float
    caveat: str = CAVEAT
    slo: Slo | None = None


def compare(named: Sequence[tuple[str, Measurement]], slo: Slo | None = None) -> Comparison:
    """The measurements side by side, each against the first.

    Raises:
        InvalidInput: fewer than two, or two of one name.
    """
    names = [name for name, _ in named]
    if len(named) < 2 or len(set(names)) < len(names):
        raise InvalidInput(
            "a comparison takes two or more measurements, each under a name of its own",
            evidence=", ".join(names),
            next_step="For example: trt-nemotron compare before.json.gz after.json.gz",
        )
    summaries = [summarise(measurement, slo) for _, measurement in named]
    runs = tuple(
        _run(name, measurement, named[0][1], summary)
        for (name, measurement), summary in zip(named, summaries, strict=True)
    )
    legs = dict.fromkeys(figures.leg for summary in summaries for figures in summary.legs)
    return Comparison(
        runs=runs,
        legs=tuple(_leg(leg, named, summaries) for leg in legs),
        is_comparable=not any(run.differences or run.invalid_reasons for run in runs),
        confidence=summaries[0].confidence,
        slo=slo,
    )


def _run(name: str, run: Measurement, first: Measurement, summary: Summary) -> ComparedRun:
    environment = run.environment
    return ComparedRun(
        name=name,
        started_at=run.started_at,
        target=environment.target,
        model=environment.model,
        runtime=f"{environment.runtime} {environment.release}",
        clock=run.client.clock,
        differences=tuple(key_differences(key_of(first), key_of(run))),
        invalid_reasons=(*summary.invalid_reasons, *summary.failures),
    )


def _leg(
    leg: Leg, named: Sequence[tuple[str, Measurement]], summaries: Sequence[Summary]
) -> ComparedLeg:
    found = [
        next((figures for figures in summary.legs if figures.leg == leg), None)
        for summary in summaries
    ]
    errors = [_client_errors(measurement) for _, measurement in named]
    return ComparedLeg(
        title=leg.title,
        leg=leg,
        metrics=tuple(_metrics(leg, found, errors)),
        missing=tuple(
            name for (name, _), figures in zip(named, found, strict=True) if figures is None
        ),
    )


def _metrics(
    leg: Leg, found: Sequence[LegSummary | None], errors: Sequence[dict[str, float]]
) -> Iterator[ComparedMetric]:
    """A metric that no run has is left out: it tells nothing of any of them."""
    for metric in COMPARED:
        readings = [None if figures is None else figures.reading(metric) for figures in found]
        if metric in _OPEN and not leg.rate_rps:
            continue
        if all(reading is None or reading.value is None for reading in readings):
            continue
        direction = _direction(metric)
        slacks = [error.get(metric, 0.0) + errors[0].get(metric, 0.0) for error in errors]
        others = (
            _figure(reading, readings[0], direction, slack)
            for reading, slack in zip(readings[1:], slacks[1:], strict=True)
        )
        yield ComparedMetric(
            metric=metric, direction=direction, figures=(_plain(readings[0], "first"), *others)
        )


def _plain(reading: Reading | None, explained: Explained) -> ComparedFigure:
    if reading is None:
        return ComparedFigure(value=None, reason="this leg was not measured")
    if reading.value is None:
        return ComparedFigure(value=None, samples=reading.samples, reason=reading.reason)
    return ComparedFigure(
        value=reading.value,
        low=reading.low,
        high=reading.high,
        samples=reading.samples,
        explained=explained,
    )


def _figure(
    reading: Reading | None, first: Reading | None, direction: Direction, slack: float
) -> ComparedFigure:
    plain = _plain(reading, "no_limits")
    if reading is None or reading.value is None or first is None or first.value is None:
        return msgspec.structs.replace(plain, explained="missing")
    step = reading.value - first.value
    return msgspec.structs.replace(
        plain,
        ratio=_ratio(reading.value, first.value),
        ratio_low=_ratio(reading.low, first.high),
        ratio_high=_ratio(reading.high, first.low),
        explained=_explained(reading, first, slack),
        is_worse=step > 0 if direction == "lower_is_better" else step < 0,
    )


def _explained(reading: Reading, first: Reading, slack: float) -> Explained:
    """Beyond noise when the limits, widened by the client's error in both runs, do not meet."""
    if reading.low is None or reading.high is None or first.low is None or first.high is None:
        return "no_limits"
    is_apart = reading.low - first.high > slack or first.low - reading.high > slack
    return "beyond_noise" if is_apart else "within_noise"


def _ratio(value: float | None, base: float | None) -> float | None:
    return None if value is None or not base else value / base


def _direction(metric: str) -> Direction:
    if metric in METRICS:
        return METRICS[metric].direction
    return "higher_is_better" if metric in _OPEN else "lower_is_better"


def _client_errors(measurement: Measurement) -> dict[str, float]:
    """By how much the client's own figure was wrong on loopback, whichever way."""
    return {error.figure: abs(error.error_ms) for error in measurement.client.measurement_error}
