"""Bounds on what compiling may cost and give, so that CI can hold them.

A graph that grew, a compiler release that takes twice the memory, an engine twice as large: each is
seen on the pull request that brings it. A bound says nothing of speed on a device.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import msgspec

from trt_nemotron.deploy.compile.values import CompileReport, EngineRecord
from trt_nemotron.document import Document

Bound = Annotated[float, msgspec.Meta(gt=0)] | None


class CompileBudget(Document, frozen=True, kw_only=True):
    """At most so much; a bound that is not given is not held.

    Attributes:
        total_seconds: of compiling, all engines together, on the machine that compiled them.
        seconds: of the slowest engine.
        engine_bytes: of the largest engine.
        peak_rss_bytes: of the process that compiles one.
        network_layers: of the network as the compiler reads it.
    """

    SCHEMA: ClassVar[str] = "trt-nemotron/compile-budget/1"

    total_seconds: Bound = None
    seconds: Bound = None
    engine_bytes: Bound = None
    peak_rss_bytes: Bound = None
    network_layers: Bound = None


@dataclass(frozen=True, slots=True)
class Breach:
    """A bound that does not hold; `where` is an engine, or all of them."""

    where: str
    metric: str
    bound: float
    found: float

    def __str__(self) -> str:
        return f"{self.where}: {self.metric} is {self.found:,.6g}, at most {self.bound:,.6g}"


def judge(report: CompileReport, budget: CompileBudget) -> tuple[Breach, ...]:
    """Every bound of `budget` that `report` breaks; an engine that there is not, breaks none."""
    breaches = []
    if budget.total_seconds is not None and report.seconds > budget.total_seconds:
        breach = Breach("all engines", "total_seconds", budget.total_seconds, report.seconds)
        breaches.append(breach)
    for engine in report.engines:
        if engine.status == "compiled":
            breaches.extend(_judge_engine(engine, budget))
    return tuple(breaches)


def _judge_engine(engine: EngineRecord, budget: CompileBudget) -> list[Breach]:
    pairs = (
        ("seconds", budget.seconds, engine.seconds),
        ("engine_bytes", budget.engine_bytes, engine.engine_bytes),
        ("peak_rss_bytes", budget.peak_rss_bytes, engine.peak_rss_bytes),
        ("network_layers", budget.network_layers, engine.network_layers),
    )
    return [
        Breach(f"SM{engine.sm}", metric, bound, found)
        for metric, bound, found in pairs
        if bound is not None and found > bound
    ]
