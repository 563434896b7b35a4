"""An order: what to check; and what a check found."""

from dataclasses import dataclass
from pathlib import Path

from trt_nemotron.deploy.machine import Machine
from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.deploy.serving.placing import ANY_PLACE, PlaceWish
from trt_nemotron.measure.bench.values import Measurement, Workload
from trt_nemotron.measure.gate.budget import Budget
from trt_nemotron.measure.gate.values import Verdict
from trt_nemotron.measure.smoke.values import SmokeReport
from trt_nemotron.pipeline.record import CheckRecord


@dataclass(frozen=True, slots=True)
class CheckOrder:
    """What to check.

    Attributes:
        runtime: nothing for the target's default.
        checkpoint: nothing for the embedded one.
        suite: name or file of the smoke suite; empty chooses by the model's name.
        place: whether the server is a process or in a container.
        out: the folder that receives everything; made where it is not there.
    """

    target: str
    runtime: str | None
    checkpoint: Path | None
    wishes: Wishes
    machine: Machine
    suite: str
    workload: Workload
    budget: Budget
    out: Path
    server_timeout_s: float
    profile: str = ""
    place: PlaceWish = ANY_PLACE


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found: its record and the values behind it, as far as it came."""

    record: CheckRecord
    smoke: SmokeReport
    measurement: Measurement | None
    verdict: Verdict | None
