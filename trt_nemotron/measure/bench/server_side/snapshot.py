"""A server's own figures at one moment, and what a leg added to them. Pure but for `fetch`."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from trt_nemotron.errors import EndpointUnfit, InvalidInput
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.server_side.exposition import Sample, read_samples
from trt_nemotron.measure.bench.server_side.names import (
    FAMILIES,
    METRICS_PATHS,
    PERF_METRICS_PATH,
    Family,
    Quantity,
)
from trt_nemotron.measure.bench.values import ServerSide
from trt_nemotron.openai.untrusted import read_json

Fetch = Callable[[str], str | None]
"""The text at a path of the server; `None` for any status but 200."""

_MS_PER_S = 1e3


@dataclass(frozen=True, slots=True)
class Total:
    """Seconds, and how many observations or tokens they are shared by."""

    seconds: float
    count: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Totals of one moment, and the times of requests that ended since the one before."""

    totals: dict[Quantity, Total] = field(default_factory=dict)
    requests: tuple[dict[Quantity, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a server tells of itself; without a family it does not."""

    path: str = ""
    family: Family | None = None
    has_perf_metrics: bool = False

    @property
    def source(self) -> str:
        """For people: `vllm /metrics`."""
        if self.family is not None:
            return f"{self.family.name} {self.path}"
        return f"tensorrt-llm {PERF_METRICS_PATH}" if self.has_perf_metrics else ""


def find_endpoints(fetch: Fetch) -> Endpoints:
    """What the server has; asked for once, before the first leg."""
    has_perf_metrics = _perf_records(fetch) is not None
    for path in METRICS_PATHS:
        samples = _samples(fetch, path)
        for family in FAMILIES:
            if any(is_of_family(sample, family) for sample in samples):
                return Endpoints(path, family, has_perf_metrics)
    return Endpoints(has_perf_metrics=has_perf_metrics)


def is_of_family(sample: Sample, family: Family) -> bool:
    """Whether a server of this family says it, though perhaps before its first request."""
    names = [name for names in family.histograms.values() for name in names]
    names += [name for pair in family.quotients.values() for name in pair]
    return any(sample.name.startswith(name) for name in names)


def take_snapshot(fetch: Fetch, endpoints: Endpoints) -> Snapshot:
    """The totals now. What cannot be read is left out: no figure of the client depends on it."""
    totals: dict[Quantity, Total] = {}
    if endpoints.family is not None:
        totals = _totals(_samples(fetch, endpoints.path), endpoints.family)
    records = (_perf_records(fetch) if endpoints.has_perf_metrics else None) or []
    return Snapshot(totals, tuple(filter(None, map(_times_of, records))))


def compare(leg: Leg, endpoints: Endpoints, before: Snapshot, after: Snapshot) -> ServerSide | None:
    """What happened between two snapshots; nothing when nothing did, or the server began anew.

    Means, since that is all that two totals give. Every request of the leg is in them, warm-up and
    other people's requests included.
    """
    found = {
        quantity: mean
        for quantity, total in after.totals.items()
        if (mean := _mean_since(before.totals.get(quantity), total)) is not None
    }
    per_request = _means_of(after.requests)
    if not found and not per_request:
        return None
    means = {**per_request, **{quantity: mean for quantity, (mean, _) in found.items()}}
    return ServerSide(
        leg=leg,
        source=endpoints.source,
        requests=round(found["ttft"][1]) if "ttft" in found else len(after.requests),
        ttft_mean_ms=means.get("ttft"),
        tpot_mean_ms=means.get("tpot"),
        queue_mean_ms=means.get("queue"),
        e2e_mean_ms=means.get("e2e"),
    )


def _mean_since(before: Total | None, after: Total) -> tuple[float, float] | None:
    """Milliseconds and observations; nothing when there were none, or a counter fell."""
    begin = before or Total(0.0, 0.0)
    count, seconds = after.count - begin.count, after.seconds - begin.seconds
    is_sound = 0 < count < math.inf and 0 <= seconds < math.inf
    return (seconds * _MS_PER_S / count, count) if is_sound else None


def _means_of(requests: Iterable[Mapping[Quantity, float]]) -> dict[Quantity, float]:
    held: dict[Quantity, list[float]] = {}
    for request in requests:
        for quantity, seconds in request.items():
            held.setdefault(quantity, []).append(seconds)
    return {quantity: sum(all_) * _MS_PER_S / len(all_) for quantity, all_ in held.items()}


def _samples(fetch: Fetch, path: str) -> tuple[Sample, ...]:
    try:
        return read_samples(fetch(path) or "")
    except (InvalidInput, EndpointUnfit):
        return ()


def _totals(samples: Iterable[Sample], family: Family) -> dict[Quantity, Total]:
    """Of each quantity by the first of its names that is there, over all labels."""
    sums: dict[str, float] = {}
    for sample in samples:
        sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    pairs: list[tuple[Quantity, str, str]] = [
        (quantity, f"{name}_sum", f"{name}_count")
        for quantity, names in family.histograms.items()
        for name in names
    ]
    pairs += [(quantity, *pair) for quantity, pair in family.quotients.items()]
    found: dict[Quantity, Total] = {}
    for quantity, seconds, count in pairs:
        if quantity not in found and seconds in sums and count in sums:
            found[quantity] = Total(sums[seconds], sums[count])
    return found


def _perf_records(fetch: Fetch) -> list[object] | None:
    """TensorRT-LLM's list, which is emptied by reading; `None` where there is none."""
    try:
        tree = read_json(fetch(PERF_METRICS_PATH) or "")
    except (ValueError, EndpointUnfit):
        return None
    return tree if isinstance(tree, list) else None


class _Timing(msgspec.Struct):
    """Seconds of the server's clock."""

    arrival_time: float
    first_scheduled_time: float
    first_token_time: float
    last_token_time: float


class _Timed(msgspec.Struct):
    timing_metrics: _Timing


class _PerfRecord(msgspec.Struct):
    perf_metrics: _Timed


def _times_of(record: object) -> dict[Quantity, float] | None:
    """What one entry of `/perf_metrics` shows in seconds; nothing when it is of another form."""
    try:
        timing = msgspec.convert(record, _PerfRecord).perf_metrics.timing_metrics
    except msgspec.ValidationError:
        return None
    begin = timing.arrival_time
    if (
        not begin
        <= timing.first_scheduled_time
        <= timing.first_token_time
        <= timing.last_token_time
    ):
        return None
    return {
        "queue": timing.first_scheduled_time - begin,
        "ttft": timing.first_token_time - begin,
        "e2e": timing.last_token_time - begin,
    }
