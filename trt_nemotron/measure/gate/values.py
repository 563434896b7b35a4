"""A verdict as a value: per bound what was asked, what was measured, and what follows."""

from typing import ClassVar, Literal

from trt_nemotron.document import Document, Value

Decision = Literal["pass", "fail", "no_baseline", "invalid", "inconclusive"]
Direction = Literal["lower_is_better", "higher_is_better"]
BoundKind = Literal["absolute", "relative", "smoke"]


class BoundResult(Value, frozen=True, kw_only=True):
    """One bound of the budget, judged.

    Attributes:
        metric: name with unit, e.g. `ttft_p50_ms`; `smoke_checks_failed` for the smoke report.
        concurrency: 0 for the smoke report.
        figure, baseline, bound: in the metric's unit; `None` where there is none.
        low, high: interval of the figure, at the confidence that the verdict names.
        kind: against a number, against a baseline, or the smoke report.
        reason: the whole decision in one sentence, with direction, figure and bound.
    """

    metric: str
    direction: Direction
    concurrency: int
    decision: Decision
    figure: float | None
    bound: float | None
    reason: str
    baseline: float | None = None
    low: float | None = None
    high: float | None = None
    samples: int = 0
    kind: BoundKind = "absolute"
    unit: str = ""


class Verdict(Document, frozen=True, kw_only=True):
    """All bounds of one budget against one measurement; `decision` is the worst of them."""

    SCHEMA: ClassVar[str] = "trt-nemotron/verdict/1"

    budget: str
    decision: Decision
    results: tuple[BoundResult, ...]
    confidence: float
    invalid_reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class PhysicalLimit(Value, frozen=True, kw_only=True):
    """The best a figure can be on a device: a roofline, handed over by whoever knows the device.

    Attributes:
        best: in the metric's unit; a better figure means that the measurement is broken.
        source: the arithmetic behind it, readable.
    """

    metric: str
    concurrency: int
    best: float
    source: str
