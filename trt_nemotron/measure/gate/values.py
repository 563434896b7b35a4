"""A verdict as a value: per bound what was asked, what was measured, and what follows."""

from typing import ClassVar, Literal

from trt_nemotron.document import Document, Value

Decision = Literal["pass", "fail", "no_baseline", "invalid", "inconclusive"]
Direction = Literal["lower_is_better", "higher_is_better"]
BoundKind = Literal["absolute", "relative", "smoke", "unmeasured"]


class BoundResult(Value, frozen=True, kw_only=True):
    """One bound of the budget, judged.

    Attributes:
        metric: name with unit, e.g. `ttft_p50_ms`; `smoke_checks_failed` for the smoke report,
            `budget` for a target that nobody has measured.
        concurrency: 0 for these two, for the start of the server, and at a rate.
        rate_rps: of an open loop; 0.0 for all else.
        input_tokens: prompt length that the bound names; 0 where it names none.
        figure, baseline, bound: in the metric's unit; `None` where there is none.
        low, high: interval of the figure, at the confidence that the verdict names.
        kind: against a number, against a baseline, the smoke report, or no bounds at all.
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
    rate_rps: float = 0.0
    input_tokens: int = 0

    @property
    def at(self) -> str:
        """Where it stands, for people: `8`, `4/s`, `8, 1024 in`; empty for what has no place."""
        load = f"{self.rate_rps:g}/s" if self.rate_rps else str(self.concurrency or "")
        return f"{load}, {self.input_tokens} in" if self.input_tokens else load


class PairedDesign(Value, frozen=True, kw_only=True):
    """How an A/B verdict came about, enough to check it again.

    Attributes:
        seed: of the coin that said which of a pair was measured first.
        pairs: valid pairs that were judged; `dropped` were measured and not valid.
        looks: numbers of pairs at which it was or would have been decided; the last is the cap.
        alarm_rate: how often, at most, the whole gate fails a change that changed nothing.
        unit: what a pair is of: runs one after the other, or neighbouring requests.
    """

    seed: int
    pairs: int
    dropped: int
    looks: tuple[int, ...]
    alarm_rate: float
    unit: Literal["run", "request"] = "run"


class Verdict(Document, frozen=True, kw_only=True):
    """All bounds of one budget against one measurement; `decision` is the worst of them.

    Attributes:
        notes: why the bounds were judged by the worst that the server can have done.
        remarks: what decides nothing and should be looked at.
        paired: of an A/B comparison; nothing for a verdict over one measurement.
    """

    SCHEMA: ClassVar[str] = "trt-nemotron/verdict/1"

    budget: str
    decision: Decision
    results: tuple[BoundResult, ...]
    confidence: float
    invalid_reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    paired: PairedDesign | None = None


class PhysicalLimit(Value, frozen=True, kw_only=True):
    """The best a figure can be on a device: a roofline, handed over by whoever knows the device.

    Attributes:
        best: in the metric's unit; a better figure means that the measurement is broken.
        source: the arithmetic behind it, readable.
        usual_share: of the best, what a sound server reaches at least; 0 where nothing is known.
            Less is remarked on: a precision that was not asked for, a board in a low power mode.
    """

    metric: str
    concurrency: int
    best: float
    source: str
    usual_share: float = 0.0


class StartFigures(Value, frozen=True, kw_only=True):
    """What a start of the server showed, handed over by whoever started it.

    Attributes:
        configuration_sha256: of what was started; must be that of the run.
        startup_s: from starting it until it had generated a token.
        memory_gap_share: of the parts that the plan knows exactly, the largest difference to what
            the server says it took, over what it took.
        why_none: why one of them is `None`.
    """

    configuration_sha256: str
    startup_s: float | None = None
    memory_gap_share: float | None = None
    why_none: str = ""
