"""What a report shows, as plain values: the report knows nothing of how a plan came about."""

from typing import Literal

from trt_nemotron.document import Value
from trt_nemotron.measure.bench.values import Environment, Measurement
from trt_nemotron.measure.gate.values import Verdict
from trt_nemotron.measure.smoke.values import SmokeReport

EMBEDDED_NOTICE = "embedded test model: proves the pipeline, not the speed of the 4B"
"""Stands wherever figures of the embedded checkpoint are shown to people."""


class MemoryLine(Value, frozen=True, kw_only=True):
    """One item of the memory a plan takes.

    Attributes:
        is_reserve: left to the system; not the model's.
        status: how the number is known: `exact`, `assumed`, `measured`.
    """

    name: str
    size_bytes: int
    formula: str
    status: Literal["exact", "assumed", "measured"]
    is_reserve: bool = False


class SettingLine(Value, frozen=True, kw_only=True):
    """One setting of the runtime with its reason."""

    name: str
    value: str
    reason: str


class PlanFacts(Value, frozen=True, kw_only=True):
    """What the report shows of a plan, handed over by the deploying half.

    Attributes:
        memory_total_bytes: what the target has; the lines' sum is what the plan takes of it.
    """

    target: str
    runtime: str
    release: str
    model: str
    precision: str
    parameters: int
    memory: tuple[MemoryLine, ...]
    memory_total_bytes: int
    settings: tuple[SettingLine, ...] = ()
    warnings: tuple[str, ...] = ()


class ReportContents(Value, frozen=True, kw_only=True):
    """Everything one report shows; what is missing is left out of it.

    Attributes:
        notice: what a reader must know before any figure, such as `EMBEDDED_NOTICE`.
        tool_version: of the tool that draws it.
        history: earlier runs to draw the measurement's figures after, oldest first.
    """

    tool_version: str
    measurement: Measurement | None = None
    verdict: Verdict | None = None
    smoke: SmokeReport | None = None
    plan: PlanFacts | None = None
    notice: str = ""
    history: tuple[Measurement, ...] = ()


def notice_for(environment: Environment) -> str:
    """The label of the embedded checkpoint; nothing for any other model."""
    return EMBEDDED_NOTICE if "embedded" in environment.model.lower() else ""
