"""A budget: the bounds that a measurement on one target has to keep. Read strictly.

Kept in `ci/budgets/<target>.yaml`; every key is explained in docs/gating.md.
"""

import difflib
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import msgspec

from trt_nemotron.document import Document, Value, read_document, to_tree
from trt_nemotron.errors import InvalidInput
from trt_nemotron.facts.location import budgets_folder
from trt_nemotron.measure.bench.figures.summary import Slo
from trt_nemotron.measure.gate.demands import Count, MachineRule, SmokeRule, WorkloadRule
from trt_nemotron.measure.gate.metrics import Gain, Metric, metric_named
from trt_nemotron.measure.gate.place import Place

Rate = Annotated[float, msgspec.Meta(gt=0.0)]

SMALLEST_RELATIVE_BOUND_PERCENT = 3.0
"""Two processes of one binary on one machine differ by themselves; below this a relative bound
would alarm on nothing (40 interleaved runs of identical servers, docs/gating.md)."""


class AbsoluteBound(Value, frozen=True, kw_only=True):
    """A bound in the metric's own unit: `at_most` for a cost, `at_least` for a gain.

    Attributes:
        concurrency: streams of a closed loop; or `rate_rps` of an open one. One of both names the
            load, and neither stands with a metric of the start.
        input_tokens: prompt length, for a run that has several.
    """

    metric: str
    concurrency: Count | None = None
    rate_rps: Rate | None = None
    input_tokens: Count | None = None
    at_most: float | None = None
    at_least: float | None = None

    @property
    def place(self) -> Place:
        """Where it stands."""
        return Place(
            concurrency=self.concurrency or 0,
            rate_rps=self.rate_rps or 0.0,
            input_tokens=self.input_tokens or 0,
        )

    @property
    def limit(self) -> float:
        """The one of both that is given."""
        limit = self.at_most if self.at_most is not None else self.at_least
        return math.nan if limit is None else limit


class RelativeBound(Value, frozen=True, kw_only=True):
    """A bound against a baseline. What "worse" is follows from the metric's type."""

    metric: str
    concurrency: Count
    worse_by_at_most_percent: float

    @property
    def place(self) -> Place:
        """Where it stands: always in a closed loop."""
        return Place(concurrency=self.concurrency)


class Budget(Document, frozen=True, kw_only=True):
    """What a measurement on `target` has to keep.

    Attributes:
        status: `unmeasured` where nobody has taken a figure yet: there are no bounds, validity,
            physics and smoke are judged all the same, and the verdict is never a pass.
        about: what the bounds are for, shown with the verdict.
        slo: latency limits of a request; goodput counts the requests that keep them.
        minimum_samples: fewest measured requests for each leg that has a bound.
    """

    SCHEMA: ClassVar[str] = "trt-nemotron/budget/1"

    target: str
    status: Literal["measured", "unmeasured"] = "measured"
    about: str = ""
    bounds: tuple[AbsoluteBound, ...] = ()
    relative: tuple[RelativeBound, ...] = ()
    smoke: SmokeRule = SmokeRule()
    workload: WorkloadRule = WorkloadRule()
    machine: MachineRule = MachineRule()
    slo: Slo | None = None
    minimum_samples: Count = 10

    @property
    def judges_figures(self) -> bool:
        """Whether there is a figure that a busy machine could have spoiled."""
        return bool(self.bounds or self.relative)


def find_budget(name: str) -> Budget:
    """The budget in the file `name`, or the shipped one of the target called so.

    Raises:
        InvalidInput: neither; the nearest target and all that have a budget are named.
    """
    path = Path(name)
    if path.suffix in {".yaml", ".yml", ".json"} or path.is_file():
        return read_budget(path)
    folder = budgets_folder()
    shipped = sorted(file.stem for file in folder.glob("*.yaml"))
    if name not in shipped:
        nearest = difflib.get_close_matches(name, shipped, n=1)
        raise InvalidInput(
            f"there is no budget for {name!r}",
            evidence=f"shipped: {', '.join(shipped)}",
            next_step=f"Did you mean {nearest[0]}?" if nearest else "Name a file of your own.",
        )
    return read_budget(folder / f"{name}.yaml")


def default_budget(target: str, runtime: str | None) -> Budget:
    """The shipped budget of a target: that of `<target>-<runtime>` where there is one of its own.

    Raises:
        InvalidInput: none is shipped for the target.
    """
    own = budgets_folder() / f"{target}-{runtime}.yaml"
    return read_budget(own) if own.is_file() else find_budget(target)


def shipped_machine_rule(target: str) -> MachineRule:
    """What may befall the machine of a run that is kept as a baseline: as our own budget has it."""
    path = budgets_folder() / f"{target}.yaml"
    return read_budget(path).machine if path.is_file() else MachineRule()


def read_budget(path: Path) -> Budget:
    """The budget kept in `path`.

    Raises:
        InvalidInput: unreadable, an unknown key or metric, or a bound that makes no sense.
    """
    budget = read_document(path, Budget)
    check_budget(budget, origin=str(path))
    return budget


def check_budget(budget: Budget, *, origin: str) -> None:
    """Refuse what the types alone allow: wrong direction, nonsense bounds, nothing to judge.

    Raises:
        InvalidInput: naming the bound and what to write instead.
    """
    if budget.status == "unmeasured":
        _check_unmeasured(budget, origin)
    elif not (budget.bounds or budget.relative or budget.smoke.needs_report):
        raise InvalidInput(
            f"{origin} bounds nothing, so anything would pass",
            next_step="Add an entry under `bounds`, or `smoke: {required: true}`.",
        )
    for bound in budget.bounds:
        _check_absolute(bound, metric_named(bound.metric), origin)
    _check_slo(budget, origin)
    _check_smoke(budget.smoke, origin)
    _check_shares(budget, origin)
    for relative in budget.relative:
        _check_relative(relative, metric_named(relative.metric), origin)
    _check_no_twins(budget.bounds, origin)
    _check_no_twins(budget.relative, origin)


def _check_unmeasured(budget: Budget, origin: str) -> None:
    count = len(budget.bounds) + len(budget.relative)
    if count:
        raise InvalidInput(
            f"{origin} has bounds and calls itself unmeasured",
            evidence=f"status: unmeasured, and {count} bounds",
            next_step="Remove `status: unmeasured`: the bounds are then what is judged.",
        )


def _check_absolute(bound: AbsoluteBound, metric: Metric, origin: str) -> None:
    _check_place(bound, metric, origin)
    given = [key for key in ("at_most", "at_least") if getattr(bound, key) is not None]
    if given != [metric.bound_key]:
        raise InvalidInput(
            f"{origin}: {metric.name} takes `{metric.bound_key}` and nothing else",
            evidence=f"{metric.name} is {metric.direction.replace('_', ' ')}; "
            f"given: {', '.join(given) or 'no bound'}",
            next_step=f"Write `{metric.bound_key}:`.",
        )
    is_least_wished = isinstance(metric, Gain) and bound.limit == 0
    if not math.isfinite(bound.limit) or bound.limit < 0 or is_least_wished:
        raise InvalidInput(
            f"{origin}: {bound.limit:g} {metric.unit} is no bound for {metric.name}",
            next_step="Give a finite number that a run could miss.",
        )
    if metric.unit == "share" and bound.limit >= 1:
        never = "shown to be kept" if isinstance(metric, Gain) else "exceeded"
        raise InvalidInput(
            f"{origin}: {metric.name} is a share of one; {bound.limit:g} can never be {never}",
            next_step="Write 0.01 for one percent.",
        )


def _check_place(bound: AbsoluteBound, metric: Metric, origin: str) -> None:
    """A figure of the start has no place; any other is at so many streams or at a rate."""
    loads = sum(load is not None for load in (bound.concurrency, bound.rate_rps))
    if metric.scope == "start" and (loads or bound.input_tokens is not None):
        raise InvalidInput(
            f"{origin}: {metric.name} is of the server's start, which has no load",
            next_step="Leave out `concurrency`, `rate_rps` and `input_tokens`.",
        )
    if metric.scope == "leg" and loads != 1:
        raise InvalidInput(
            f"{origin}: {metric.name} needs either `concurrency` or `rate_rps`",
            evidence=f"{'both' if loads else 'neither'} given",
            next_step="Name the streams of a closed loop, or the requests per second of an open "
            "one.",
        )
    if bound.rate_rps is not None and not math.isfinite(bound.rate_rps):
        raise InvalidInput(f"{origin}: {bound.rate_rps:g} requests/s is no rate")


def _check_slo(budget: Budget, origin: str) -> None:
    asked = [bound.metric for bound in budget.bounds if bound.metric.startswith("goodput")]
    limits = [] if budget.slo is None else list(to_tree(budget.slo).values())
    given = [limit for limit in limits if limit is not None]
    if asked and not given:
        raise InvalidInput(
            f"{origin} bounds {asked[0]} without an SLO to count by",
            next_step="Add `slo: {ttft_ms: ..., tpot_ms: ...}`.",
        )
    if not all(math.isfinite(limit) and limit > 0 for limit in given):
        raise InvalidInput(f"{origin}: an SLO is a positive number of milliseconds")


def _check_smoke(rule: SmokeRule, origin: str) -> None:
    if not 0.0 < rule.pass_share_at_least <= 1.0:
        raise InvalidInput(
            f"{origin}: {rule.pass_share_at_least:g} is no share of the smoke checks",
            next_step="Write 0.9 for nine of ten, or leave it out: then every check has to pass.",
        )
    if rule.must_pass:
        from trt_nemotron.measure.smoke.registry import select_checks

        select_checks(rule.must_pass)


def _check_shares(budget: Budget, origin: str) -> None:
    """Shares of one: 25, meant as percent, would allow anything without a word."""
    shares = {
        "machine.other_load_share_at_most": budget.machine.other_load_share_at_most,
        "machine.throttled_share_at_most": budget.machine.throttled_share_at_most,
        "workload.cached_share_at_most": budget.workload.cached_share_at_most,
    }
    for name, share in shares.items():
        if not 0.0 <= share <= 1.0:
            raise InvalidInput(
                f"{origin}: {name} is a share of one, and {share:g} is none",
                next_step="Write 0.25 for a quarter; 1.0 allows anything.",
            )


def _check_relative(bound: RelativeBound, metric: Metric, origin: str) -> None:
    if metric.quantile != 0.5:
        raise InvalidInput(
            f"{origin}: {metric.name} cannot be bounded relative to a baseline",
            evidence="Only medians can: between identical servers a p99 varies by 30 % from run to "
            "run, and a value that a run has once comes without an interval.",
            next_step="Bound it absolutely, or bound the median relatively.",
        )
    percent = bound.worse_by_at_most_percent
    if not SMALLEST_RELATIVE_BOUND_PERCENT <= percent < 1000.0:
        raise InvalidInput(
            f"{origin}: {metric.name} worse by at most {percent:g} % cannot be judged",
            next_step=f"Choose from {SMALLEST_RELATIVE_BOUND_PERCENT:g} to under 1000.",
        )


def _check_no_twins(bounds: Sequence[AbsoluteBound | RelativeBound], origin: str) -> None:
    counts = Counter((bound.metric, bound.place) for bound in bounds)
    for (name, place), count in counts.items():
        if count > 1:
            where = f" at {place.title}" if metric_named(name).scope == "leg" else ""
            raise InvalidInput(
                f"{origin}: {name}{where} is bounded {count} times",
                next_step="Keep one of them.",
            )
