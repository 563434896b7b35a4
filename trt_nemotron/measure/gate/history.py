"""What the history of a figure shows that one comparison cannot: slow creep.

It is a remark and decides nothing. Its rate holds for runs that do not depend on each other; on a
machine whose state lasts from run to run it alarms far more often (docs/gating.md). What decides is
an A/B comparison with what was there before the change.
"""

from collections.abc import Iterator, Sequence

from trt_nemotron.errors import NoValidMeasurement
from trt_nemotron.measure.bench.figures.summarise import summarise
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.budget import Budget, RelativeBound
from trt_nemotron.measure.gate.changepoint import WINDOW, find_change
from trt_nemotron.measure.gate.key import key_differences, key_of
from trt_nemotron.measure.gate.metrics import metric_named
from trt_nemotron.measure.gate.place import leg_fault, legs_at
from trt_nemotron.measure.gate.result import show


def creep_remarks(budget: Budget, runs: Sequence[Measurement]) -> Iterator[str]:
    """A sentence for each relative bound whose metric became worse somewhere among `runs`.

    Runs that cannot be compared with the last one are left out.
    """
    comparable = _comparable(runs, runs[-1])[-WINDOW:]
    for bound in budget.relative:
        dated = list(_figures(bound, comparable))
        metric = metric_named(bound.metric)
        change = find_change(metric, [figure for _, figure in dated])
        if change is not None:
            yield (
                f"{metric.name} at concurrency {bound.concurrency} went from "
                f"{show(change.before, metric)} to {show(change.after, metric)} over {len(dated)} "
                f"runs, most of all at the one of {dated[change.place][0]}: compare with what was "
                "there before it"
            )


def comparable_figures(
    bound: RelativeBound, runs: Sequence[Measurement], run: Measurement
) -> list[tuple[str, float]]:
    """When each of `runs` that may be compared with `run` was started, and its figure."""
    return list(_figures(bound, _comparable(runs, run)))


def _comparable(runs: Sequence[Measurement], run: Measurement) -> list[Measurement]:
    key = key_of(run)
    return [each for each in runs if not key_differences(key, key_of(each))]


def _figures(bound: RelativeBound, runs: Sequence[Measurement]) -> Iterator[tuple[str, float]]:
    """When each run was started and its figure; runs without one are left out."""
    metric = metric_named(bound.metric)
    for run in runs:
        legs = legs_at(bound.place, run)
        if leg_fault(bound.place, legs):
            continue
        try:
            interval = metric.interval(summarise(run).at_leg(legs[0]))
        except NoValidMeasurement:
            continue
        if interval is not None:
            yield run.started_at, interval.figure
