"""The closed set of metrics that a budget may bound. A metric's direction is its type.

A gate elsewhere listed directions beside the names, had one of them the wrong way round and passed
a p99 slowdown from 6 to 15 ms as an improvement (NVIDIA/TensorRT-LLM#18741). Here a `Cost` can only
be kept below a bound and a `Gain` above one; nothing else knows which way is better.
"""

import difflib
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

from trt_nemotron.errors import InvalidInput, NoValidMeasurement
from trt_nemotron.measure.bench.figures.summary import LegSummary
from trt_nemotron.measure.gate.values import Direction

Unit = Literal["ms", "s", "tokens/s", "requests/s", "share", "J/token"]
Scope = Literal["leg", "start"]
"""Of what there is one figure: each leg of a run, or the start of the server."""
BoundKey = Literal["at_most", "at_least"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure between its limits; a value that a run has once is its own limits.

    Attributes:
        samples: how many requests it was taken from.
    """

    figure: float
    low: float
    high: float
    samples: int


@dataclass(frozen=True, slots=True)
class Metric(ABC):
    """One figure of a measurement.

    Attributes:
        name: with its unit, as budgets and figures call it.
        title: what it is, for people.
        quantile: of a percentile; nothing for a value that a run has once, which has no limits.
        is_timed: whether it comes from the client's clock, and so suffers from a late client.
        counts_waiting: whether it grows without end while a server is offered more than it serves.
        is_proportion: whether it is a share of the requests with exact limits.
        scope: of what there is one.
    """

    name: str
    title: str
    unit: Unit
    quantile: float | None = None
    is_timed: bool = True
    counts_waiting: bool = False
    is_proportion: bool = False
    scope: Scope = "leg"

    direction: ClassVar[Direction]
    bound_key: ClassVar[BoundKey]

    @property
    def has_limits(self) -> bool:
        """Whether a run says how uncertain it is."""
        return self.quantile is not None or self.is_proportion

    @abstractmethod
    def is_within(self, figure: float, bound: float) -> bool:
        """Whether `figure` keeps `bound`."""

    @abstractmethod
    def worst(self, interval: Interval) -> float:
        """The worse end of the interval."""

    @abstractmethod
    def best(self, interval: Interval) -> float:
        """The better end of the interval."""

    @abstractmethod
    def worsened(self, figure: float, percent: float) -> float:
        """`figure` made worse by `percent` of itself."""

    @abstractmethod
    def loss(self, before: float, after: float) -> float:
        """By how much it became worse, as a logarithm; negative when it became better."""

    @abstractmethod
    def after(self, before: float, loss: float) -> float:
        """The figure after such a loss: `loss` turned round."""

    def interval(self, summary: LegSummary) -> Interval:
        """The figure with its limits.

        Raises:
            NoValidMeasurement: there is no such figure, too few samples, or it cannot be true.
        """
        reading = summary.reading(self.name)
        if reading.value is None:
            raise NoValidMeasurement(f"no {self.name}: {reading.reason or 'not measured'}")
        low = reading.value if reading.low is None else reading.low
        high = reading.value if reading.high is None else reading.high
        if not all(math.isfinite(end) and end >= 0 for end in (low, reading.value, high)):
            raise NoValidMeasurement(f"{self.name} of {reading.value:g} {self.unit} cannot be")
        return Interval(figure=reading.value, low=low, high=high, samples=reading.samples)


@dataclass(frozen=True, slots=True)
class Cost(Metric):
    """A metric of which less is better: latencies, errors."""

    direction: ClassVar[Direction] = "lower_is_better"
    bound_key: ClassVar[BoundKey] = "at_most"

    def is_within(self, figure: float, bound: float) -> bool:
        """At most the bound."""
        return figure <= bound

    def worst(self, interval: Interval) -> float:
        """The upper limit."""
        return interval.high

    def best(self, interval: Interval) -> float:
        """The lower limit."""
        return interval.low

    def worsened(self, figure: float, percent: float) -> float:
        """More of it."""
        return figure * (1.0 + percent / 100.0)

    def loss(self, before: float, after: float) -> float:
        """Grown by so much."""
        return math.log(after / before)

    def after(self, before: float, loss: float) -> float:
        """So much larger."""
        return before * math.exp(loss)


@dataclass(frozen=True, slots=True)
class Gain(Metric):
    """A metric of which more is better: throughput, goodput."""

    direction: ClassVar[Direction] = "higher_is_better"
    bound_key: ClassVar[BoundKey] = "at_least"

    def is_within(self, figure: float, bound: float) -> bool:
        """At least the bound."""
        return figure >= bound

    def worst(self, interval: Interval) -> float:
        """The lower limit."""
        return interval.low

    def best(self, interval: Interval) -> float:
        """The upper limit."""
        return interval.high

    def worsened(self, figure: float, percent: float) -> float:
        """Less of it."""
        return figure * (1.0 - percent / 100.0)

    def loss(self, before: float, after: float) -> float:
        """Shrunk by so much."""
        return math.log(before / after)

    def after(self, before: float, loss: float) -> float:
        """So much smaller."""
        return before * math.exp(-loss)


def _latencies() -> list[Metric]:
    titles = {
        "ttft": "time to first token",
        "ttfa": "time to first answer token",
        "tpot": "time per output token",
        "e2e": "end to end",
    }
    return [
        Cost(
            name=f"{short}_p{percent}_ms",
            title=f"{title}, p{percent}",
            unit="ms",
            quantile=percent / 100.0,
            counts_waiting=short != "tpot",
        )
        for short, title in titles.items()
        for percent in (50, 90, 95, 99)
    ]


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            *_latencies(),
            Gain(name="tokens_per_s", title="output tokens, all streams", unit="tokens/s"),
            Gain(name="tokens_per_s_per_user", title="output tokens, one stream", unit="tokens/s"),
            Gain(
                name="goodput_rps",
                title="requests within the SLO",
                unit="requests/s",
                counts_waiting=True,
            ),
            Gain(
                name="goodput_share",
                title="share of the requests within the SLO",
                unit="share",
                counts_waiting=True,
                is_proportion=True,
            ),
            Gain(name="achieved_rps", title="good requests served", unit="requests/s"),
            Cost(name="error_share", title="requests that failed", unit="share", is_timed=False),
            Cost(
                name="joules_per_token",
                title="energy of an output token",
                unit="J/token",
                is_timed=False,
            ),
            Cost(
                name="startup_s",
                title="from starting the server to its first token",
                unit="s",
                is_timed=False,
                scope="start",
            ),
            Cost(
                name="memory_gap_share",
                title="memory, taken against planned",
                unit="share",
                is_timed=False,
                scope="start",
            ),
        )
    }
)
"""Every metric a budget may name."""

UNGATED: Mapping[str, str] = MappingProxyType(
    {
        "itl": "the gaps of one stream depend on each other, so a percentile over gaps is no "
        "percentile over requests: bound tpot",
        "mean": "one stalled request moves a mean, and it has no limits: bound a percentile",
        "roofline_ratio": "a roofline is a limit of physics and judged as one: bound tokens_per_s",
        "queue_ms": "waiting is part of TTFT and E2E, which count from when a request was meant",
        "service_ttft_ms": "it leaves out the waiting: bound ttft, which users see",
        "service_e2e_ms": "it leaves out the waiting: bound e2e, which users see",
        "offered_rps": "it is the schedule's own rate, not the server's: bound achieved_rps",
        "watts": "idle power is in it, and a slower server draws less: bound joules_per_token",
        "tokens_per_chunk": "it says how the server cuts its answers, not how well it serves",
        "shared_stamp_share": "it says how the chunks were read",
        "doubtful_share": "it says how the chunks were read, and makes a run invalid by itself",
        "prompt_tokens": "it is the work, see `workload` of a budget",
        "cached_tokens": "it is the work, see `workload` of a budget",
    }
)
"""Figures that no budget may bound, by name or by the statistic in it, and why."""


def metric_named(name: str) -> Metric:
    """The metric called `name`.

    Raises:
        InvalidInput: there is none; the nearest is named.
    """
    if name in METRICS:
        return METRICS[name]
    why_not = why_ungated(name)
    if why_not:
        raise InvalidInput(f"{name} cannot be gated", evidence=f"{name}: {why_not}.")
    nearest = difflib.get_close_matches(name, METRICS)
    raise InvalidInput(
        f"there is no metric called {name!r}",
        evidence=f"known: {', '.join(METRICS)}",
        next_step=f"Did you mean {nearest[0]}?" if nearest else "Choose one of those known.",
    )


def why_ungated(name: str) -> str:
    """Why a figure of this name is no metric; empty where nobody decided so."""
    parts = name.split("_")
    reasons = (UNGATED[part] for part in (name, parts[0], *parts[1:2]) if part in UNGATED)
    return next(reasons, "")
