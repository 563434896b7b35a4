"""What a client that was late can have hidden: it takes from a pass, never from a failure.

Lateness that falls on A and B alike makes both figures longer and their ratio smaller: a true loss
of five percent looks like less, and where the client only ever sees whole slots of time it may look
like none. It cannot raise a false alarm, for the coin deals it to both sides. So pairs with a late
client are kept, and a bound passes only when it is kept by the worst that the servers can have
done: A faster than measured by all that the client may have added, B slower by as much.
"""

from dataclasses import dataclass

from trt_nemotron.measure.bench.figures.request_figures import RequestFigures
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.budget import RelativeBound
from trt_nemotron.measure.gate.metrics import Metric

_SMALLEST_SHARE = 1e-3
"""Of a figure, what lateness leaves of it at least, so that a logarithm exists."""
_FIRST_TOKEN = frozenset({"ttft", "ttfa"})


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure of both sides, and how much of each the client may have made, in milliseconds."""

    before: float
    after: float
    late_before: float = 0.0
    late_after: float = 0.0

    def loss(self, metric: Metric) -> float:
        """By how much B is worse, as measured."""
        return metric.loss(self.before, self.after)

    def worst_loss(self, metric: Metric) -> float:
        """By how much it is worse at worst. Latencies only: all that may be bounded relatively."""
        least = max(self.before - self.late_before, _SMALLEST_SHARE * self.before)
        return metric.loss(least, self.after + self.late_after)


def lateness_ms(bound: RelativeBound, figures: RequestFigures, run: Measurement) -> float:
    """By how much the client may have made one request's figure wrong.

    Taken together are the error that it found against its own server with the same clock; the wait
    for a processor, where it stamps by its own; and a first token that was read together with
    later ones, where stamps belong to reads. Packets are stamped whoever reads them.
    """
    client, base = run.client, bound.metric.partition("_")[0]
    errors = {error.figure: abs(error.error_ms) for error in client.measurement_error}
    found = errors.get(f"{'ttft' if base in _FIRST_TOKEN else base}_p50_ms", 0.0)
    if base != "tpot":
        found = max(found, client.stamp_delay_p50_ms)
    if client.clock == "packet_ring":
        return found
    lag_ms = _timer_lag_ms(bound, run)
    if client.clock == "user_read":
        tokens_after = max(1, run.workload.output_tokens - 1)
        return found + (lag_ms / tokens_after if base == "tpot" else lag_ms)
    if base in _FIRST_TOKEN:
        # A server that sends in bursts looks the same, but the client was late by its lag only.
        found += min(figures.first_doubt * figures.ttft_ms, lag_ms)
    return found


def _timer_lag_ms(bound: RelativeBound, run: Measurement) -> float:
    by_streams = {lag.concurrency: lag.p99_ms for lag in run.client.loop_lags}
    return by_streams.get(bound.concurrency, run.client.loop_lag_p99_ms)
