"""Several percentiles under one rate: a failure has to hold for the budget as a whole.

Each limit of a percentile misses with one percent (`bench.figures.percentiles.CONFIDENCE`), so a
budget of ten bounds would fail a server that just keeps them all in up to ten percent of the runs.
To fail, a bound's limit has to lie over it at a tenth of that rate. Passing is not made harder: a
missed bound passes only if its own limit misses, however many others there are.
"""

from collections.abc import Sequence

from trt_nemotron.measure.bench.figures.percentiles import CONFIDENCE, rank_limits
from trt_nemotron.measure.bench.figures.request_figures import measure_request
from trt_nemotron.measure.bench.values import RequestRecord
from trt_nemotron.measure.gate.budget import AbsoluteBound, Budget
from trt_nemotron.measure.gate.metrics import Metric, metric_named


def shared_confidence(budget: Budget) -> float:
    """What each of the budget's percentiles needs, so that all together keep the one rate."""
    count = sum(metric_named(bound.metric).quantile is not None for bound in budget.bounds)
    return 1.0 - (1.0 - CONFIDENCE) / max(1, count)


def is_missed_for_all(
    metric: Metric, bound: AbsoluteBound, records: Sequence[RequestRecord], confidence: float
) -> bool:
    """Whether the better limit misses the bound at `confidence`, too.

    A value that a run has once has no limits, and is not asked twice.

    Args:
        metric: of the bound.
        bound: found missed at the confidence of one bound alone.
        records: the good requests at its concurrency.
        confidence: see `shared_confidence`.
    """
    if metric.quantile is None:
        return True
    latency = f"{metric.name.partition('_')[0]}_ms"
    figures = (getattr(measure_request(record), latency) for record in records)
    ordered = sorted(figure for figure in figures if figure is not None)
    low, _ = rank_limits(len(ordered), metric.quantile, confidence)
    return low > 0 and not metric.is_within(ordered[low - 1], bound.limit)
