"""Several figures with limits under one rate: a failure has to hold for the budget as a whole.

Each limit of a percentile, or of a share, misses with one percent (`percentiles.CONFIDENCE`), so a
budget of ten bounds would fail a server that just keeps them all in up to ten percent of the runs.
To fail, a bound's limit has to lie over it at a tenth of that rate. Passing is not made harder: a
missed bound passes only if its own limit misses, however many others there are.
"""

from collections.abc import Sequence

from trt_nemotron.measure.bench.figures.binomial import share_of
from trt_nemotron.measure.bench.figures.percentiles import CONFIDENCE, rank_limits
from trt_nemotron.measure.bench.figures.request_figures import measure_request
from trt_nemotron.measure.bench.figures.summary import LegSummary
from trt_nemotron.measure.bench.values import RequestRecord
from trt_nemotron.measure.gate.budget import AbsoluteBound, Budget
from trt_nemotron.measure.gate.metrics import Metric, metric_named


def shared_confidence(budget: Budget) -> float:
    """What each of the budget's limits needs, so that all together keep the one rate."""
    count = sum(metric_named(bound.metric).has_limits for bound in budget.bounds)
    return 1.0 - (1.0 - CONFIDENCE) / max(1, count)


def is_missed_for_all(
    metric: Metric,
    bound: AbsoluteBound,
    records: Sequence[RequestRecord],
    confidence: float,
    figures: LegSummary | None = None,
) -> bool:
    """Whether the better limit misses the bound at `confidence`, too.

    A value that a run has once has no limits, and is not asked twice.

    Args:
        metric: of the bound.
        bound: found missed at the confidence of one bound alone.
        records: the good requests of its leg.
        confidence: see `shared_confidence`.
        figures: of the leg, which a share is counted in.
    """
    if metric.is_proportion:
        return figures is None or _is_share_missed(metric, bound, figures, confidence)
    if metric.quantile is None:
        return True
    latency = f"{metric.name.partition('_')[0]}_ms"
    found = (getattr(measure_request(record), latency) for record in records)
    ordered = sorted(figure for figure in found if figure is not None)
    low, _ = rank_limits(len(ordered), metric.quantile, confidence)
    return low > 0 and not metric.is_within(ordered[low - 1], bound.limit)


def _is_share_missed(
    metric: Metric, bound: AbsoluteBound, figures: LegSummary, confidence: float
) -> bool:
    share = share_of(figures.kept or 0, figures.requests - figures.void, confidence)
    return share is not None and not metric.is_within(share.high, bound.limit)
