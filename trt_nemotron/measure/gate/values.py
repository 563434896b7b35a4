"""A verdict as a value: per bound what was asked, what was measured, and what follows."""

from typing import ClassVar, Literal

from trt_nemotron.document import Document, Value

Decision = Literal["pass", "fail", "no_baseline", "invalid", "inconclusive"]
Direction = Literal["lower_is_better", "higher_is_better"]


class BoundResult(Value, frozen=True, kw_only=True):
    """One bound of the budget, judged.

    Attributes:
        metric: name with unit, e.g. `ttft_p50_ms`.
        figure, baseline, bound: in the metric's unit; `None` where there is none.
        low, high: interval of the figure, at the confidence that the verdict names.
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


class Verdict(Document, frozen=True, kw_only=True):
    """All bounds of one budget against one measurement; `decision` is the worst of them."""

    SCHEMA: ClassVar[str] = "trt-nemotron/verdict/1"

    budget: str
    decision: Decision
    results: tuple[BoundResult, ...]
    confidence: float
    invalid_reasons: tuple[str, ...] = ()
