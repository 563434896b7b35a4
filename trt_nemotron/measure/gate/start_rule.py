"""What the start of the server took, as bounds: a value that was handed over, judged as it is."""

import math

from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.budget import AbsoluteBound
from trt_nemotron.measure.gate.metrics import Interval, metric_named
from trt_nemotron.measure.gate.result import Finding, bound_result, show
from trt_nemotron.measure.gate.rule import decide
from trt_nemotron.measure.gate.values import BoundResult, Decision, StartFigures


def judge_start(
    bound: AbsoluteBound, measurement: Measurement, start: StartFigures | None
) -> BoundResult:
    """One bound of the start; `invalid` where nobody saw it, or where it was another server's."""
    metric = metric_named(bound.metric)
    doubt = _doubt(bound.metric, measurement, start)
    figure = None if start is None else getattr(start, bound.metric)
    interval = None if figure is None else Interval(figure, figure, figure, samples=1)
    decision: Decision = "invalid"
    if interval is not None and not doubt:
        decision = decide(metric, interval, bound.limit)
    allowed = f"{metric.bound_key.replace('_', ' ')} {show(bound.limit, metric)}"
    found = Finding(interval, doubt)
    return bound_result(metric, bound, found, decision, allowed, limit=bound.limit)


def _doubt(name: str, measurement: Measurement, start: StartFigures | None) -> str:
    if start is None:
        return "nothing that a start of the server showed was handed over"
    ours = measurement.environment.configuration_sha256
    if start.configuration_sha256 != ours:
        return (
            f"the start was of configuration {start.configuration_sha256[:12]}, "
            f"the run of {ours[:12]}"
        )
    figure = getattr(start, name)
    if figure is None:
        return f"the start did not show it: {start.why_none or 'no reason given'}"
    if not math.isfinite(figure) or figure < 0:
        return f"{figure:g} cannot be"
    return ""
