"""What is injected, and the verdict it must have."""

from dataclasses import dataclass, field

from trt_nemotron.measure.gate.budget import AbsoluteBound, Budget, RelativeBound
from trt_nemotron.measure.gate.demands import MachineRule, WorkloadRule
from trt_nemotron.measure.gate.values import Decision

TTFT_MS = 10.0
TPOT_MS = 1.0
OUTPUT_TOKENS = 16
TARGET = "self-test"
REHEARSED = 3
"""Requests of the client before the first that counts."""


@dataclass(frozen=True, slots=True)
class Timing:
    """What a server of known timing is told, see `fault_server.py`.

    Attributes:
        slowing_per_s: the device slows down by this share of its speed each second.
        fault, every: each `every`-th measured request is broken so.
        factor: by which `slow_first` delays a first token.
        stall_ms: pause of `stall` in the middle of an answer.
    """

    ttft_ms: float = TTFT_MS
    tpot_ms: float = TPOT_MS
    slowing_per_s: float = 0.0
    fault: str = ""
    every: int = 0
    factor: float = 4.0
    stall_ms: float = 300.0
    spared: int = REHEARSED
    prompt_tokens: int = 32


@dataclass(frozen=True, slots=True)
class Case:
    """One run against an absolute budget.

    Attributes:
        name: what is injected, for people.
        reason: a part of what the verdict must say, so that it is right for the right reason.
        concurrency, requests: of the run.
    """

    name: str
    timing: Timing
    bounds: tuple[AbsoluteBound, ...]
    expected: Decision
    reason: str = ""
    concurrency: int = 1
    requests: int = 20

    @property
    def budget(self) -> Budget:
        """What the run is judged by."""
        return Budget(
            target=TARGET,
            bounds=self.bounds,
            workload=WorkloadRule(output_tokens=OUTPUT_TOKENS),
            machine=MachineRule(other_load_share_at_most=1.0),
            minimum_samples=8,
        )


@dataclass(frozen=True, slots=True)
class PairedCase:
    """A against B in turn.

    Attributes:
        expected: the verdict of each relative bound, by its metric, and what was injected.
    """

    name: str
    a: Timing
    b: Timing
    expected: dict[str, tuple[str, Decision]] = field(default_factory=dict)


PAIRED_BUDGET = Budget(
    target=TARGET,
    relative=tuple(
        RelativeBound(metric=name, concurrency=1, worse_by_at_most_percent=3.0)
        for name in ("ttft_p50_ms", "tpot_p50_ms")
    ),
    workload=WorkloadRule(output_tokens=OUTPUT_TOKENS),
    minimum_samples=8,
)

_SLOWING = Timing(slowing_per_s=0.002)
PAIRED: tuple[PairedCase, ...] = (
    PairedCase(
        name="TTFT +10 %, TPOT +5 %",
        a=Timing(),
        b=Timing(ttft_ms=1.10 * TTFT_MS, tpot_ms=1.05 * TPOT_MS),
        expected={
            "ttft_p50_ms": ("TTFT +10 %", "fail"),
            "tpot_p50_ms": ("TPOT +5 %", "fail"),
        },
    ),
    PairedCase(
        name="no change, on a device that slows down by 0.2 % a second",
        a=_SLOWING,
        b=_SLOWING,
        expected={
            "ttft_p50_ms": ("no change of TTFT, throttling device", "pass"),
            "tpot_p50_ms": ("no change of TPOT, throttling device", "pass"),
        },
    ),
)

_SOUND = AbsoluteBound(metric="tpot_p50_ms", concurrency=1, at_most=4.0 * TPOT_MS)
SINGLE: tuple[Case, ...] = (
    Case("nothing", Timing(), (_SOUND,), "pass"),
    Case(
        "4 % of the first tokens four times as late",
        Timing(fault="slow_first", every=25),
        (AbsoluteBound(metric="ttft_p99_ms", concurrency=4, at_most=2.5 * TTFT_MS),),
        "fail",
        reason="ttft_p99_ms",
        concurrency=4,
        requests=500,
    ),
    Case(
        "a stall of 300 ms in every fourth answer",
        Timing(fault="stall", every=4),
        (AbsoluteBound(metric="tpot_p90_ms", concurrency=4, at_most=8.0 * TPOT_MS),),
        "fail",
        reason="tpot_p90_ms",
        concurrency=4,
        requests=60,
    ),
    Case(
        "HTTP 500 for every fifth request",
        Timing(fault="http_error", every=5),
        (_SOUND,),
        "invalid",
        reason="requests failed",
    ),
    Case(
        "the same, where the budget allows one percent",
        Timing(fault="http_error", every=5),
        (AbsoluteBound(metric="error_share", concurrency=1, at_most=0.01),),
        "fail",
        reason="error_share",
    ),
    Case(
        "an error inside every fifth stream",
        Timing(fault="in_band_error", every=5),
        (_SOUND,),
        "invalid",
        reason="stream_error",
    ),
    Case(
        "every fifth answer half as long",
        Timing(fault="wrong_length", every=5),
        (_SOUND,),
        "invalid",
        reason="wrong_length",
    ),
    Case(
        "every fifth connection cut off",
        Timing(fault="cut_off", every=5),
        (_SOUND,),
        "invalid",
        reason="failed",
    ),
    Case(
        "answers from the server's cache",
        Timing(fault="cached"),
        (_SOUND,),
        "invalid",
        reason="cache",
    ),
)
