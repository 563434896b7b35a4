"""Whether the clocks of several machines were near enough to each other for what spans them.

A latency is a difference of times of one machine. What spans machines is the time from the first
sending to the last token, so throughput and everything per second, and which requests were under
way at the same time.
"""

from collections.abc import Iterator

from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.bench.worker_health import ClockOffset, WorkerHealth

MOST_SPAN_SHARE = 0.01
"""Of the time from first sending to last token: what clocks may add to it or take away, and what
may be missing of it from a worker.
"""
_NS_PER_MS = 1e6


def far_clock_reasons(measurement: Measurement) -> Iterator[str]:
    """One sentence for each clock that stepped, and each leg too short for its clocks."""
    spans = _spans_ms(measurement)
    offsets = [
        (worker, found) for worker in measurement.client.workers for found in worker.clock_offsets
    ]
    # Workers of one machine say the same of its clock.
    yield from dict.fromkeys(_stepped(*each) for each in offsets if each[1].is_stepped)
    for leg, span_ms in spans.items():
        bound_ms = max(
            (found.bound_ms for _, found in offsets if _leg_of(found) == leg), default=0.0
        )
        if 2 * bound_ms > MOST_SPAN_SHARE * span_ms:
            yield (
                f"{leg.title}: the machines' clocks are known to each other within {bound_ms:.3f} "
                f"ms, which is more than {MOST_SPAN_SHARE / 2:.1%} of the {span_ms:.0f} ms that it "
                f"lasted: its throughput is not"
            )


def late_start_reasons(measurement: Measurement) -> Iterator[str]:
    """One sentence for each worker that heard too late when to begin."""
    shortest_ms = min(_spans_ms(measurement).values(), default=0.0)
    for worker in measurement.client.workers:
        if worker.start_late_ms > MOST_SPAN_SHARE * shortest_ms:
            yield (
                f"worker {worker.worker} began {worker.start_late_ms:.1f} ms after the others, "
                f"more than {MOST_SPAN_SHARE:.0%} of a leg of {shortest_ms:.0f} ms"
            )


def _stepped(worker: WorkerHealth, found: ClockOffset) -> str:
    moved_ms = found.after_ms - found.before_ms
    return (
        f"{_leg_of(found).title}: the clock of {worker.machine} moved by {moved_ms:+.3f} ms "
        f"against ours, more than two clocks drift: it was stepped, or its machine stood still"
    )


def _leg_of(found: ClockOffset) -> Leg:
    return Leg(
        concurrency=found.concurrency, rate_rps=found.rate_rps, input_tokens=found.input_tokens
    )


def _spans_ms(measurement: Measurement) -> dict[Leg, float]:
    """From the first sending to the end of the last response, of each leg."""
    limits: dict[Leg, tuple[int, int]] = {}
    for record in measurement.records:
        if record.is_warmup:
            continue
        begin, end = limits.get(record.leg, (record.sent_ns, record.finished_ns))
        limits[record.leg] = min(begin, record.sent_ns), max(end, record.finished_ns)
    return {leg: (end - begin) / _NS_PER_MS for leg, (begin, end) in limits.items()}
