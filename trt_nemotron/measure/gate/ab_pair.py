"""What is measured next to each other: two runs, or two runs whose requests were sent in turn.

Whether a pair counts is asked of both sides together, and the answer is the same when A and B
change places. So keeping and dropping cannot depend on the coin, and the test stays exact. Dropped
is what cannot be compared: other work, wrong lengths, errors, a broken clock. A client that was
late is noise which the coin deals to both sides; it is told, and weighed against a pass
(`ab_lateness`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Literal

from trt_nemotron.document import sha256_of
from trt_nemotron.errors import NoValidMeasurement
from trt_nemotron.measure.bench.figures.request_figures import RequestFigures, measure_request
from trt_nemotron.measure.bench.figures.summarise import summarise
from trt_nemotron.measure.bench.values import Measurement, RequestRecord
from trt_nemotron.measure.gate.ab_lateness import Compared, lateness_ms
from trt_nemotron.measure.gate.baseline import time_of
from trt_nemotron.measure.gate.budget import Budget, RelativeBound
from trt_nemotron.measure.gate.key import key_differences, key_of, unknown_fields
from trt_nemotron.measure.gate.metrics import metric_named
from trt_nemotron.measure.gate.validity import (
    fitness_faults,
    measured_records,
    record_faults,
    sample_fault,
)

Arm = Literal["a", "b"]

UNDER_TEST = (
    "runtime",
    "release",
    "model",
    "configuration_sha256",
    "image",
    "weights_sha256",
)
"""What may differ between the two sides; the device, the client and the work may not."""

MOST_DROPPED_SHARE = 0.25
"""Of the pairs measured; when more were not valid, what is left is a choice, not a sample."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs next to each other: A is what there was, B is the change.

    Attributes:
        first: which of both was measured first.
        order: of their requests where those were sent in turn, drawn anew for each two neighbours;
            then each two neighbours are a pair of their own. Empty for one run after the other.
    """

    first: Arm
    a: Measurement
    b: Measurement
    order: tuple[Arm, ...] = ()

    @property
    def size(self) -> int:
        """Pairs in it that were measured, good or not."""
        return len(self.order) // 2 or 1

    @property
    def span_s(self) -> float:
        """From its first request to its last one's end, for requests in turn; else nothing."""
        records = (*measured_records(self.a), *measured_records(self.b)) if self.order else ()
        if not records:
            return 0.0
        begin = min(record.sent_ns for record in records)
        return (max(record.finished_ns for record in records) - begin) / 1e9


def compare(pair: Pair, bounds: Sequence[RelativeBound]) -> list[tuple[Compared, ...]]:
    """Each pair in it as both figures of each bound; what lacks one of some bound is left out.

    Raises:
        NoValidMeasurement: two runs one after the other do not have the figure.
    """
    if not pair.order:
        return [tuple(_of_runs(pair, bound) for bound in bounds)]
    neighbours = zip(_in_order(pair.a), _in_order(pair.b), strict=False)
    found = (_of_requests(pair, before, after, bounds) for before, after in neighbours)
    return [compared for compared in found if compared]


def pair_faults(pair: Pair, budget: Budget) -> tuple[str, ...]:
    """Why a pair may not be judged."""
    return (
        *_run_faults(pair.a, budget, is_single=not pair.order),
        *_run_faults(pair.b, budget, is_single=not pair.order),
        *_between(pair),
    )


def figure_faults(pair: Pair, budget: Budget) -> tuple[str, ...]:
    """Bounded figures that a pair does not have, such as a median of too few requests."""
    try:
        found = len(compare(pair, budget.relative))
    except NoValidMeasurement as fault:
        return (fault.message,)
    missing = pair.size - found
    if missing <= MOST_DROPPED_SHARE * pair.size:
        return ()
    return (f"{missing} of {pair.size} pairs of requests lack a bounded figure",)


def prompt_tokens(pairs: Sequence[Pair], arm: Arm) -> float | None:
    """Tokens of an arm's prompt on average, as its server counts; none where it does not."""
    runs = (pair.a if arm == "a" else pair.b for pair in pairs)
    counted = [
        r.prompt_tokens for run in runs for r in measured_records(run) if r.prompt_tokens > 0
    ]
    return fmean(counted) if counted else None


def lateness_reasons(pair: Pair) -> tuple[str, ...]:
    """What the client said of its own lateness; it drops nothing."""
    return (*summarise(pair.a).lateness_reasons, *summarise(pair.b).lateness_reasons)


def _of_runs(pair: Pair, bound: RelativeBound) -> Compared:
    (before, late_before), (after, late_after) = (_of_run(bound, r) for r in (pair.a, pair.b))
    return Compared(before, after, late_before, late_after)


def _of_run(bound: RelativeBound, run: Measurement) -> tuple[float, float]:
    """The median of a run, and by how much the client may have made it wrong."""
    metric = metric_named(bound.metric)
    figure = metric.interval(summarise(run).at(bound.concurrency)).figure
    if figure <= 0.0:
        raise NoValidMeasurement(f"{metric.name} of {figure:g} {metric.unit} cannot be")
    good = [r for r in measured_records(run) if r.gives_figures]
    late = [
        lateness_ms(bound, measure_request(record), run)
        for record in good
        if record.concurrency == bound.concurrency
    ]
    return figure, median(late) if late else figure


def _of_requests(
    pair: Pair, before: RequestRecord, after: RequestRecord, bounds: Sequence[RelativeBound]
) -> tuple[Compared, ...]:
    """Both figures of each bound; empty when a request lacks one of them."""
    if not (before.gives_figures and after.gives_figures):
        return ()
    a, b = measure_request(before), measure_request(after)
    found = []
    for bound in bounds:
        figures = _request_figure(bound, a), _request_figure(bound, b)
        if not all(figures):
            return ()
        late = lateness_ms(bound, a, pair.a), lateness_ms(bound, b, pair.b)
        found.append(Compared(*figures, *late))
    return tuple(found)


def _request_figure(bound: RelativeBound, figures: RequestFigures) -> float:
    """Of one request what the bound's median is over; 0.0 where it has none."""
    base = bound.metric.partition("_")[0]
    return max(0.0, getattr(figures, f"{base}_ms") or 0.0)


def _in_order(run: Measurement) -> list[RequestRecord]:
    return sorted(measured_records(run), key=lambda record: record.index)


def _run_faults(run: Measurement, budget: Budget, *, is_single: bool) -> tuple[str, ...]:
    broken = record_faults(run)
    if broken:
        return broken
    summary = summarise(run, budget.slo)
    samples = (
        sample_fault(run, bound.place, budget.minimum_samples if is_single else 1)
        for bound in budget.relative
    )
    return (
        *fitness_faults(run, budget),
        *(reason for reason in summary.invalid_reasons if reason not in summary.lateness_reasons),
        *(f"an unknown {name}" for name in unknown_fields(run)),
        *filter(None, samples),
    )


def _between(pair: Pair) -> Iterator[str]:
    if sha256_of(pair.a.records) == sha256_of(pair.b.records):
        yield "both runs of a pair are the same one"
    for phrase in key_differences(key_of(pair.b), key_of(pair.a), may_differ=UNDER_TEST):
        yield f"A was measured with {phrase}"
    if pair.a.workload.concurrencies != pair.b.workload.concurrencies or (
        pair.a.workload.requests_per_concurrency != pair.b.workload.requests_per_concurrency
    ):
        yield "A and B were not measured for equally long"
    if pair.order:
        if _order_of_sending(pair) != pair.order:
            yield "the requests of a pair were not sent in the order that was drawn"
        return
    earlier, later = (pair.a, pair.b) if pair.first == "a" else (pair.b, pair.a)
    begun, then = time_of(earlier.started_at), time_of(later.started_at)
    if begun is None or then is None or begun > then:
        yield "the runs of a pair were not started in the order that was drawn"


def _order_of_sending(pair: Pair) -> tuple[Arm, ...]:
    sides: tuple[tuple[Arm, Measurement], ...] = (("a", pair.a), ("b", pair.b))
    sent = [(r.sent_ns, r.index, arm) for arm, run in sides for r in measured_records(run)]
    return tuple(arm for _, _, arm in sorted(sent))
