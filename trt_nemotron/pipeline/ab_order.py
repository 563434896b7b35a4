"""An order for an A/B gate: which two, by which bounds, with how much work; and how they serve."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trt_nemotron.deploy.bundle.reader import read_bundle
from trt_nemotron.deploy.bundle.values import Manifest
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.serving.placing import ANY_PLACE, PlaceWish
from trt_nemotron.deploy.sizes import gib
from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.bench.values import Workload
from trt_nemotron.measure.bench.workload import change_workload
from trt_nemotron.measure.gate.ab_record import Turns
from trt_nemotron.measure.gate.budget import (
    SMALLEST_RELATIVE_BOUND_PERCENT,
    Budget,
    RelativeBound,
)
from trt_nemotron.measure.gate.demands import WorkloadRule
from trt_nemotron.measure.gate.design import MOST_PAIRS, MOST_REQUEST_PAIRS

Serving = Literal["together", "in-turn"]
ServingWish = Literal["auto", "together", "in-turn"]

FEWEST_REQUESTS = 8
"""Of a run: a median needs seven for its limits, and short runs make near pairs."""
IN_TURN_FACTOR = 3
"""A start is dear, so the run that follows it is longer."""
_DEFAULT_METRICS = ("ttft_p50_ms", "tpot_p50_ms")


@dataclass(frozen=True, slots=True)
class Arm:
    """One of the two bundles."""

    folder: Path
    manifest: Manifest
    plan: Plan


@dataclass(frozen=True, slots=True)
class AbOrder:
    """What to compare.

    Attributes:
        a, b: what there was, and the change.
        budget: its relative bounds are judged.
        workload: of one run.
        serving: both servers at once, or one start for each run.
        turns: whether runs or single requests are sent in turn.
        cores: processors that both servers are held to; none for any.
        seed: of the coin.
        out: the folder that receives every run and the verdict.
    """

    a: Arm
    b: Arm
    budget: Budget
    workload: Workload
    serving: Serving
    serving_reason: str
    seed: int
    most_pairs: int
    out: Path
    turns: Turns = "runs"
    cores: tuple[int, ...] = ()
    suite: str = ""
    server_timeout_s: float = 600.0
    place: PlaceWish = ANY_PLACE


def read_arms(a: Path, b: Path) -> tuple[Arm, Arm]:
    """Both bundles.

    Raises:
        InvalidInput: they are for different targets, so not for one device.
        BundleDamaged: one is not whole.
    """
    arms = Arm(a, *read_bundle(a)), Arm(b, *read_bundle(b))
    targets = [arm.manifest.target for arm in arms]
    if targets[0] != targets[1]:
        raise InvalidInput(
            f"A is for {targets[0]} and B for {targets[1]}: A/B compares on one device",
            next_step="Build both for the board that stands here.",
        )
    return arms


def default_ab_budget(target: str) -> Budget:
    """Both medians of one stream, by the smallest relative bound there is."""
    return Budget(
        target=target,
        about="A against B: the medians of one stream",
        relative=tuple(
            RelativeBound(
                metric=name,
                concurrency=1,
                worse_by_at_most_percent=SMALLEST_RELATIVE_BOUND_PERCENT,
            )
            for name in _DEFAULT_METRICS
        ),
        workload=WorkloadRule(),
        minimum_samples=FEWEST_REQUESTS,
    )


def ab_workload(
    base: Workload, budget: Budget, serving: Serving, requests: int | None = None
) -> Workload:
    """The work of one run: every bounded concurrency, as few requests as its median needs."""
    least = max(FEWEST_REQUESTS, budget.minimum_samples)
    rule = budget.workload
    return change_workload(
        base,
        concurrencies=tuple(dict.fromkeys(bound.concurrency for bound in budget.relative)) or None,
        requests_per_concurrency=requests
        or least * (IN_TURN_FACTOR if serving == "in-turn" else 1),
        warmup_requests=1,
        input_tokens=rule.input_tokens,
        output_tokens=rule.output_tokens,
        is_thinking_enabled=rule.is_thinking_enabled,
    )


def choose_turns(budget: Budget, serving: str, requests: int | None) -> Turns:
    """Single requests in turn where one stream is bounded and both servers are up: their pairs are
    the nearest that there are. Else runs in turn, and wherever the `requests` of a run are named.
    """
    is_one_stream = all(bound.concurrency == 1 for bound in budget.relative)
    return "requests" if is_one_stream and serving != "in-turn" and requests is None else "runs"


def most_pairs_of(turns: Turns, wish: int | None) -> int:
    """The cap: the one wished for, or as many pairs as about a minute holds."""
    return wish or (MOST_REQUEST_PAIRS if turns == "requests" else MOST_PAIRS)


def choose_serving(wish: ServingWish, a: Plan, b: Plan) -> tuple[Serving, str]:
    """How both serve, and why.

    Together where both fit by their plans' ledgers, the reserve counted once: a start takes
    minutes, and neighbouring runs are what makes pairs alike.

    Raises:
        InvalidInput: `together` is asked for and does not fit.
    """
    reserve = min(_reserve(a), _reserve(b))
    needed = a.ledger.needed_bytes + b.ledger.needed_bytes - reserve
    total = min(a.ledger.memory_total_bytes, b.ledger.memory_total_bytes)
    found = f"both take {gib(needed)} of {gib(total)}"
    if wish == "in-turn":
        return "in-turn", "asked for: each run has a start of its own"
    if needed <= total:
        return "together", found
    if wish == "together":
        raise InvalidInput(
            "both servers do not fit at once",
            evidence=found,
            next_step="Take --serving in-turn, or plan for less: --max-concurrency, --max-seq-len.",
        )
    return "in-turn", f"{found}, so each run has a start of its own"


def _reserve(plan: Plan) -> int:
    return sum(line.size_bytes for line in plan.ledger.lines if line.name == "reserve")
