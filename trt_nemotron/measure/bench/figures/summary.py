"""A summary as a value: every figure of a measurement by name, with limits or why it has none."""

from typing import Literal

import msgspec

from trt_nemotron.document import Value
from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.bench.client_health import ClockSource
from trt_nemotron.measure.bench.figures.drift import Drift
from trt_nemotron.measure.bench.figures.percentiles import samples_needed
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.values import RequestOutcome

LatencyName = Literal["ttft_ms", "ttfa_ms", "tpot_ms", "itl_ms", "e2e_ms"]
LATENCIES: tuple[LatencyName, ...] = ("ttft_ms", "ttfa_ms", "tpot_ms", "itl_ms", "e2e_ms")
QUANTILES: dict[str, float] = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}
SAMPLES_NEEDED: dict[str, int] = {name: samples_needed(q) for name, q in QUANTILES.items()}
"""Fewest samples for each percentile: 7, 44, 90 and 459."""


class Slo(Value, frozen=True, kw_only=True):
    """Latency limits that a request must keep, all of those given, to count as goodput (ms)."""

    ttft_ms: float | None = None
    tpot_ms: float | None = None
    e2e_ms: float | None = None


class Distribution(Value, frozen=True, kw_only=True):
    """One latency over all samples, in milliseconds.

    A percentile is `None` when there are fewer samples than `SAMPLES_NEEDED` says. Its limits hold
    with 99 % confidence each, for samples that do not depend on each other; those of `itl_ms` allow
    for gaps that do (`clusters`).
    """

    samples: int
    mean: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    p50: float | None = None
    p50_low: float | None = None
    p50_high: float | None = None
    p90: float | None = None
    p90_low: float | None = None
    p90_high: float | None = None
    p95: float | None = None
    p95_low: float | None = None
    p95_high: float | None = None
    p99: float | None = None
    p99_low: float | None = None
    p99_high: float | None = None


class Reading(Value, frozen=True, kw_only=True):
    """One figure by name, as a gate asks for it.

    Attributes:
        value: `None` when it could not be had; `reason` then says why.
        low, high: its limits, where it has any.
    """

    metric: str
    value: float | None
    low: float | None = None
    high: float | None = None
    samples: int = 0
    reason: str = ""


class LegSummary(Value, frozen=True, kw_only=True):
    """The figures of one leg: a closed loop, or an open one.

    In an open loop `ttft_ms`, `ttfa_ms` and `e2e_ms` count from when a request was meant to be
    sent; `service_ttft_ms` and `service_e2e_ms` from when it was.

    Attributes:
        requests: measured requests, good and bad.
        outcomes: how many ended in each way.
        duration_s: from the first measured request's sending to the last one's end.
        tokens_per_s: output tokens of good requests over `duration_s`.
        tokens_per_s_per_user: 1000 / `tpot_ms` p50: the rate at which one stream runs.
        goodput_rps: good requests that kept the SLO over `duration_s`; `None` without an SLO.
        error_share: share of `requests` that did not end `ok`.
        tokens_per_chunk: completion tokens over token chunks; 1.0 when each chunk is one token.
        shared_stamp_share: share of token chunks that were read together with the one before.
        doubtful_share: share of requests whose first token was read together with so many later
            ones that TTFT may be too long by more than 10 %.
        prompt_tokens: mean by the server's count; `None` when it gave none.
        cached_tokens: sum over good requests by the server's count; `None` when it gave none.
        void: requests that were answered well and whose times give no figure.
        tpot_at_worst_ms: what TPOT cannot have exceeded, however late the client read.
        rate_rps, input_tokens: of the leg, see `Leg`.
        queue_ms: sending less meant to be sent: what a request waited in the client because the
            most that may be under way were; only of an open loop.
        offered_rps: rate at which an open loop meant to send; `None` for a closed one.
        achieved_rps: rate at which good requests ended, from the first end to the last.
        is_behind: whether an open loop was offered more than was served: the time from the meant
            start to the end grew all along.
        kept: good requests that kept the SLO; `None` without one.
        goodput_share: `kept` over all requests, failed ones included.
        goodput_share_low, goodput_share_high: its exact limits, with 99 % confidence each.
        drifts: of a soak, how latencies moved; empty for a leg too short to speak of it.
        roofline_ratio: `tokens_per_s` over what the board allows; `None` where that is not known.
        watts, joules_per_token: what the board drew, and that over the output tokens, warm-up
            included; `None` where it was not measured.
    """

    concurrency: int
    requests: int
    good: int
    outcomes: dict[RequestOutcome, int]
    duration_s: float
    ttft_ms: Distribution
    ttfa_ms: Distribution
    tpot_ms: Distribution
    itl_ms: Distribution
    e2e_ms: Distribution
    tokens_per_s: float | None
    tokens_per_s_per_user: float | None
    goodput_rps: float | None
    error_share: float
    tokens_per_chunk: float | None
    shared_stamp_share: float
    doubtful_share: float = 0.0
    prompt_tokens: float | None = None
    cached_tokens: int | None = None
    void: int = 0
    tpot_at_worst_ms: Distribution = Distribution(samples=0)
    rate_rps: float = 0.0
    input_tokens: int = 0
    queue_ms: Distribution = Distribution(samples=0)
    service_ttft_ms: Distribution = Distribution(samples=0)
    service_e2e_ms: Distribution = Distribution(samples=0)
    offered_rps: float | None = None
    achieved_rps: float | None = None
    is_behind: bool = False
    kept: int | None = None
    goodput_share: float | None = None
    goodput_share_low: float | None = None
    goodput_share_high: float | None = None
    drifts: tuple[Drift, ...] = ()
    roofline_ratio: float | None = None
    watts: float | None = None
    joules_per_token: float | None = None

    @property
    def leg(self) -> Leg:
        """The leg these figures are of."""
        return Leg(
            concurrency=self.concurrency, rate_rps=self.rate_rps, input_tokens=self.input_tokens
        )

    def at_worst(self) -> "LegSummary":
        """The same leg with the figures that the server can have shown at worst.

        Of what a late client reads, TTFT, TTFA, E2E and throughput are their own worst case. TPOT
        is not: a first token that was read late makes it too short. Goodput counts by TPOT, so it
        has no figure here.
        """
        tpot = self.tpot_at_worst_ms
        return msgspec.structs.replace(
            self,
            tpot_ms=tpot,
            tokens_per_s_per_user=1000.0 / tpot.p50 if tpot.p50 else None,
            goodput_rps=None,
            kept=None,
            goodput_share=None,
            goodput_share_low=None,
            goodput_share_high=None,
        )

    def latency(self, name: LatencyName) -> Distribution:
        """The distribution called `name`."""
        distribution: Distribution = getattr(self, name)
        return distribution

    def reading(self, metric: str) -> Reading:
        """A figure by its name: `ttft_p50_ms`, `itl_mean_ms`, `tokens_per_s`, `error_share`, ...

        Raises:
            InvalidInput: no figure has that name.
        """
        if metric in _SCALARS:
            return self._scalar_reading(metric)
        base, _, rest = metric.partition("_")
        statistic, _, unit = rest.partition("_")
        name = f"{base}_{unit}"
        if name not in LATENCIES or statistic not in {*QUANTILES, "mean"}:
            raise InvalidInput(
                f"no figure is called {metric!r}",
                next_step=f"Known: {', '.join(metric_names())}.",
            )
        return self._latency_reading(metric, getattr(self, name), statistic)

    def _scalar_reading(self, metric: str) -> Reading:
        value: float | None = getattr(self, metric)
        is_of_all = metric in {"error_share", "goodput_share"}
        return Reading(
            metric=metric,
            value=value,
            low=getattr(self, f"{metric}_low", None),
            high=getattr(self, f"{metric}_high", None),
            samples=self.requests if is_of_all else self.good,
            reason="" if value is not None else _SCALARS[metric],
        )

    def _latency_reading(self, metric: str, latency: Distribution, statistic: str) -> Reading:
        value: float | None = getattr(latency, statistic)
        needed = SAMPLES_NEEDED.get(statistic, 1)
        reason = "" if value is not None else f"needs {needed} samples, there are {latency.samples}"
        return Reading(
            metric=metric,
            value=value,
            low=getattr(latency, f"{statistic}_low", None),
            high=getattr(latency, f"{statistic}_high", None),
            samples=latency.samples,
            reason=reason,
        )


_SCALARS = {
    "tokens_per_s": "the server gave no usage, or no request was good",
    "tokens_per_s_per_user": "too few requests with a TPOT",
    "goodput_rps": "no SLO was given",
    "goodput_share": "no SLO was given",
    "achieved_rps": "too few good requests",
    "roofline_ratio": "no roofline was handed over, or no tokens/s",
    "joules_per_token": "energy was not measured, or the server gave no usage",
    "error_share": "",
}


class Summary(Value, frozen=True, kw_only=True):
    """Every figure of one measurement.

    Attributes:
        concurrencies: of each leg, in the order of measuring.
        clock: the least exact clock that stamped any measured request.
        invalid_reasons: why no figure of this run may be judged; empty for a sound run.
        lateness_reasons: those of them that lie in chunks read late; see `validity`.
        failures: legs with requests that were not what was asked for; see `failures`.
        notes: findings that a reader of the figures should know, one sentence each.
    """

    concurrencies: tuple[LegSummary, ...]
    clock: ClockSource
    confidence: float
    slo: Slo | None = None
    invalid_reasons: tuple[str, ...] = ()
    lateness_reasons: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def legs(self) -> tuple[LegSummary, ...]:
        """The figures of each leg: `concurrencies` by their better name."""
        return self.concurrencies

    def at(self, concurrency: int) -> LegSummary:
        """The figures at one concurrency.

        Raises:
            InvalidInput: it was not measured, or several legs were measured at it.
        """
        found = [summary for summary in self.concurrencies if summary.concurrency == concurrency]
        if len(found) > 1:
            raise InvalidInput(
                f"concurrency {concurrency} was measured in {len(found)} legs, which differ",
                evidence="; ".join(summary.leg.title for summary in found),
                next_step="Name the leg: by its rate, by its prompt length.",
            )
        if not found:
            raise self._not_measured(f"concurrency {concurrency}")
        return found[0]

    def at_leg(self, leg: Leg) -> LegSummary:
        """The figures of one leg.

        Raises:
            InvalidInput: it was not measured.
        """
        for summary in self.concurrencies:
            if summary.leg == leg:
                return summary
        raise self._not_measured(leg.title)

    def _not_measured(self, what: str) -> InvalidInput:
        measured = "; ".join(summary.leg.title for summary in self.concurrencies)
        return InvalidInput(f"{what} was not measured", evidence=f"measured: {measured}")


def metric_names() -> tuple[str, ...]:
    """Every name that `LegSummary.reading` knows."""
    latencies = [
        name.replace("_ms", f"_{statistic}_ms")
        for name in LATENCIES
        for statistic in (*QUANTILES, "mean")
    ]
    return (*latencies, *_SCALARS)
