"""The rule that turns a figure with limits and a bound into a decision."""

from trt_nemotron.measure.gate.metrics import Interval, Metric
from trt_nemotron.measure.gate.values import Decision


def decide(metric: Metric, interval: Interval, bound: float) -> Decision:
    """`pass` when even the worse limit keeps the bound, `fail` when not even the better one does.

    For a percentile this is the binomial rule: a p99 bound is kept by 459 requests with none over
    it, 662 with one, 838 with two. A value without limits is never `inconclusive`.
    """
    if metric.is_within(metric.worst(interval), bound):
        return "pass"
    if metric.is_within(metric.best(interval), bound):
        return "inconclusive"
    return "fail"


def decide_relative(metric: Metric, interval: Interval, kept: Interval, percent: float) -> Decision:
    """The same against a baseline `kept`, where both figures are uncertain.

    A pass has to hold against the baseline's better limit, a failure against its worse one.
    """
    if metric.is_within(metric.worst(interval), metric.worsened(metric.best(kept), percent)):
        return "pass"
    if metric.is_within(metric.best(interval), metric.worsened(metric.worst(kept), percent)):
        return "inconclusive"
    return "fail"
