"""The verdict as OpenMetrics text, so that a dashboard keeps what a job found.

Format: https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md. Figures
stay in the metric's own unit, which is a label: a family has one unit, a verdict has several.
"""

from collections.abc import Iterator
from typing import get_args

from trt_nemotron.measure.gate.values import BoundResult, Decision, Verdict

_PREFIX = "trt_nemotron_gate"
_FAMILIES = {
    "figure": "what was measured",
    "bound": "what the budget allows",
    "low": "lower limit of the figure",
    "high": "upper limit of the figure",
    "baseline": "figure of the baseline",
    "samples": "requests or pairs that the figure was taken from",
}


def render_openmetrics(verdict: Verdict) -> str:
    """The verdict and each of its bounds as gauges and state sets, ending in `# EOF`."""
    return "\n".join((*_lines(verdict), "# EOF")) + "\n"


def _lines(verdict: Verdict) -> Iterator[str]:
    yield from _head("verdict", "stateset", "the whole gate")
    yield from _states("verdict", verdict.decision, {"budget": verdict.budget})
    yield from _head("decision", "stateset", "one bound")
    for result in verdict.results:
        yield from _states("decision", result.decision, _labels(verdict, result))
    for name, about in _FAMILIES.items():
        yield from _head(name, "gauge", about)
        for result in verdict.results:
            value: float | None = getattr(result, name)
            if value is not None:
                yield f"{_PREFIX}_{name}{_label_text(_labels(verdict, result))} {value:.9g}"


def _head(name: str, kind: str, about: str) -> Iterator[str]:
    yield f"# TYPE {_PREFIX}_{name} {kind}"
    yield f"# HELP {_PREFIX}_{name} {about}"


def _states(name: str, decision: Decision, labels: dict[str, str]) -> Iterator[str]:
    for state in get_args(Decision):
        text = _label_text({**labels, f"{_PREFIX}_{name}": state})
        yield f"{_PREFIX}_{name}{text} {int(state == decision)}"


def _labels(verdict: Verdict, result: BoundResult) -> dict[str, str]:
    return {
        "budget": verdict.budget,
        "metric": result.metric,
        "concurrency": str(result.concurrency),
        **({"rate_rps": f"{result.rate_rps:g}"} if result.rate_rps else {}),
        **({"input_tokens": str(result.input_tokens)} if result.input_tokens else {}),
        "kind": result.kind,
        "direction": result.direction,
        "unit": result.unit,
    }


def _label_text(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items()) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
