"""An absolute bound of one leg, and what keeps its decision from standing."""

from trt_nemotron.errors import NoValidMeasurement
from trt_nemotron.measure.bench.figures.summarise import summarise_leg
from trt_nemotron.measure.gate.budget import AbsoluteBound, Budget
from trt_nemotron.measure.gate.examined import Run, find
from trt_nemotron.measure.gate.family import is_missed_for_all, shared_confidence
from trt_nemotron.measure.gate.metrics import Metric, metric_named
from trt_nemotron.measure.gate.result import Finding, bound_result, show
from trt_nemotron.measure.gate.rule import decide
from trt_nemotron.measure.gate.validity import drift_fault
from trt_nemotron.measure.gate.values import BoundResult, Decision

BEHIND = (
    "the server was offered more than it served, so this grows with the length of the run and is "
    "kept by none that is long enough"
)


def judge_absolute(bound: AbsoluteBound, budget: Budget, run: Run) -> BoundResult:
    """One absolute bound: decided by the leg's figure, unless something speaks against that."""
    metric = metric_named(bound.metric)
    is_late = bool(run.lateness) and metric.is_timed
    found = find(metric, bound.place, budget, run, at_worst=is_late)
    decision: Decision = "invalid"
    if found.interval is not None and not found.doubt:
        decision = decide(metric, found.interval, bound.limit)
        decision, doubt = _settled(metric, bound, budget, run, decision)
        found = Finding(found.interval, doubt)
    allowed = f"{metric.bound_key.replace('_', ' ')} {show(bound.limit, metric)}"
    return bound_result(metric, bound, found, decision, allowed, limit=bound.limit)


def _settled(
    metric: Metric, bound: AbsoluteBound, budget: Budget, run: Run, decision: Decision
) -> tuple[Decision, str]:
    """The decision that stands in the end, with the reason where it is not the figure's own."""
    figures = run.figures_at(bound.place)
    if run.lateness and metric.is_timed and decision != "pass":
        return "invalid", run.lateness[0]
    if figures is not None and figures.is_behind and metric.counts_waiting and decision == "pass":
        return "invalid", BEHIND
    drift = drift_fault(run.measurement, bound.place) if metric.is_timed else ""
    if drift and _by_thirds(metric, bound, budget, run) != {decision}:
        return "invalid", drift
    if decision == "fail" and not _is_missed_for_all(metric, bound, budget, run):
        return "inconclusive", "missed by this bound's own limit, not with all the others"
    return decision, ""


def _by_thirds(metric: Metric, bound: AbsoluteBound, budget: Budget, run: Run) -> set[Decision]:
    """What the first and the last third of a leg would each decide alone.

    Figures that moved are of no one state of the machine. Where the state before and that after
    agree with the whole, it does not matter which of them was meant.
    """
    records = run.records_at(bound.place)
    third = len(records) // 3
    decisions: set[Decision] = set()
    for part in (records[:third], records[-third:]):
        figures = summarise_leg(part[0].leg, part, budget.slo)
        try:
            interval = metric.interval(figures.at_worst() if run.lateness else figures)
        except NoValidMeasurement:
            return {"invalid"}
        decisions.add(decide(metric, interval, bound.limit))
    return decisions


def _is_missed_for_all(metric: Metric, bound: AbsoluteBound, budget: Budget, run: Run) -> bool:
    good = [record for record in run.records_at(bound.place) if record.gives_figures]
    figures = run.figures_at(bound.place)
    return is_missed_for_all(metric, bound, good, shared_confidence(budget), figures)
