"""`gate --ab`, `--ab-urls` and `--ab-replay`: two servers in turn, a verdict over the pairs."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from trt_nemotron.cli.console import console, drawn_progress, print_json
from trt_nemotron.cli.gate_outputs import Outputs, conclude
from trt_nemotron.errors import InvalidInput

if TYPE_CHECKING:
    from trt_nemotron.deploy.serving.placing import PlaceWish
    from trt_nemotron.measure.bench.values import Workload
    from trt_nemotron.measure.gate.ab_record import Turns
    from trt_nemotron.measure.gate.budget import Budget
    from trt_nemotron.measure.gate.design import Design
    from trt_nemotron.pipeline.ab import AbResult
    from trt_nemotron.pipeline.ab_order import AbOrder

DEFAULT_OUT = Path("trt-nemotron-ab")
_CHANGE_PERCENT = 5.0


@dataclass(frozen=True, slots=True)
class AbWish:
    """What the user asked for; one of the first three is given."""

    ab: tuple[Path, Path] | None
    ab_urls: tuple[str, str] | None
    ab_replay: Path | None
    serving: Literal["auto", "together", "in-turn"]
    max_pairs: int | None
    requests: int | None
    seed: int | None
    suite: str
    model: str
    api_key_env: str | None
    timeout: float


def run_wish(
    wish: AbWish, budget: str | None, place: "PlaceWish", outputs: Outputs, *, is_dry: bool
) -> int:
    """Do what was asked for; `place` is where servers run that are started.

    Raises:
        click.UsageError: several of `--ab`, `--ab-urls` and `--ab-replay`.
    """
    if sum(bool(way) for way in (wish.ab, wish.ab_urls, wish.ab_replay)) > 1:
        raise click.UsageError("--ab, --ab-urls and --ab-replay exclude each other")
    if wish.ab_replay is not None:
        return _replay(wish.ab_replay, budget, outputs, is_dry=is_dry)
    if wish.ab_urls is not None:
        return _compare_urls(wish, wish.ab_urls, budget, outputs, is_dry=is_dry)
    return _compare_bundles(wish, budget, place, outputs, is_dry=is_dry)


def _compare_bundles(
    wish: AbWish, budget: str | None, place: "PlaceWish", outputs: Outputs, *, is_dry: bool
) -> int:
    from trt_nemotron.pipeline.ab import run_ab_gate

    order = _order(wish, budget, place, outputs.out or DEFAULT_OUT)
    if is_dry:
        design = _design(order.budget, wish, order.turns)
        return _show_plan(
            order.budget, order.workload, design, outputs, turns=order.turns, order=order
        )
    with drawn_progress(is_quiet=outputs.is_json) as progress:
        result = run_ab_gate(order, progress)
    return _conclude(result, order.out, outputs, budget)


def _compare_urls(
    wish: AbWish, urls: tuple[str, str], budget: str | None, outputs: Outputs, *, is_dry: bool
) -> int:
    from trt_nemotron.cli.endpoint_options import read_api_key
    from trt_nemotron.measure.bench.workload import find_profile
    from trt_nemotron.measure.gate.budget import find_budget
    from trt_nemotron.pipeline.ab import run_ab_urls
    from trt_nemotron.pipeline.ab_order import ab_workload, choose_turns, default_ab_budget

    judged = find_budget(budget) if budget else default_ab_budget("this machine")
    workload = ab_workload(find_profile("quick"), judged, "together", wish.requests)
    turns = choose_turns(judged, "urls", wish.requests)
    design = _design(judged, wish, turns)
    if is_dry:
        return _show_plan(judged, workload, design, outputs, turns=turns)
    out = outputs.out or DEFAULT_OUT
    with drawn_progress(is_quiet=outputs.is_json) as progress:
        result = run_ab_urls(
            urls,
            judged,
            workload,
            seed=_seed(wish),
            most_pairs=design.most_pairs,
            out=out,
            progress=progress,
            turns=turns,
            model=wish.model,
            api_key=read_api_key(wish.api_key_env),
            suite=wish.suite,
        )
    return _conclude(result, out, outputs, budget)


def _replay(folder: Path, budget: str | None, outputs: Outputs, *, is_dry: bool) -> int:
    from trt_nemotron.document import read_document
    from trt_nemotron.measure.gate.ab_record import PLAN_NAME, AbPlan, judge_again
    from trt_nemotron.measure.gate.budget import find_budget
    from trt_nemotron.measure.report.contents import notice_for
    from trt_nemotron.measure.smoke.values import SmokeReport
    from trt_nemotron.pipeline.ab_verdict import smoke_failure, with_smoke

    chosen = find_budget(budget) if budget else None
    for name, said in ((PLAN_NAME, "holds no A/B gate"), ("smoke.json", "was cut off early")):
        if not (folder / name).exists():
            raise InvalidInput(
                f"{folder} {said}",
                evidence=f"{name} is not there",
                next_step="Name the --out of an A/B gate, or measure again.",
            )
    smoke = read_document(folder / "smoke.json", SmokeReport)
    judged = chosen or read_document(folder / PLAN_NAME, AbPlan).budget
    verdict, notice = smoke_failure(judged, smoke), ""
    if verdict is None:
        plan, run = judge_again(folder, chosen)
        verdict = with_smoke(run.verdict, smoke, plan, chosen)
        notice = notice_for(run.pairs[0].b.environment) if run.pairs else ""
    return conclude(verdict, notice, outputs, budget=budget or "", is_dry=is_dry)


def _order(wish: AbWish, budget: str | None, place: "PlaceWish", out: Path) -> "AbOrder":
    from trt_nemotron.measure.bench.workload import find_profile
    from trt_nemotron.measure.gate.budget import find_budget
    from trt_nemotron.pipeline.ab_order import (
        AbOrder,
        ab_workload,
        choose_serving,
        choose_turns,
        default_ab_budget,
        read_arms,
    )
    from trt_nemotron.pipeline.ab_place import allowed_cores, choose_cores

    if wish.ab is None:
        raise click.UsageError("--ab needs two bundles")
    a, b = read_arms(*wish.ab)
    judged = find_budget(budget) if budget else default_ab_budget(b.manifest.target)
    serving, reason = choose_serving(wish.serving, a.plan, b.plan)
    turns = choose_turns(judged, serving, wish.requests)
    bundles = [(arm.manifest, arm.plan) for arm in (a, b)]
    return AbOrder(
        a=a,
        b=b,
        budget=judged,
        workload=ab_workload(find_profile("quick"), judged, serving, wish.requests),
        serving=serving,
        serving_reason=reason,
        seed=_seed(wish),
        most_pairs=_design(judged, wish, turns).most_pairs,
        out=out,
        turns=turns,
        cores=choose_cores(bundles, allowed_cores()) if serving == "together" else (),
        suite=wish.suite,
        server_timeout_s=wish.timeout,
        place=place,
    )


def _design(budget: "Budget", wish: AbWish, turns: "Turns") -> "Design":
    from trt_nemotron.measure.gate.ab_judge import require_relative
    from trt_nemotron.measure.gate.design import make_design
    from trt_nemotron.pipeline.ab_order import most_pairs_of

    require_relative(budget)
    return make_design(len(budget.relative), most_pairs=most_pairs_of(turns, wish.max_pairs))


def _seed(wish: AbWish) -> int:
    """The user's, or one that nobody could know before; either is recorded."""
    import secrets

    return secrets.randbelow(2**31) if wish.seed is None else wish.seed


def _conclude(result: "AbResult", out: Path, outputs: Outputs, budget: str | None) -> int:
    code = conclude(result.verdict, result.notice, outputs, budget=budget or "")
    if not outputs.is_json:
        console().print(
            f"  every run is kept in {out}; judge again: trt-nemotron gate --ab-replay {out}",
            markup=False,
            soft_wrap=True,
        )
    return code


def _show_plan(
    budget: "Budget",
    workload: "Workload",
    design: "Design",
    outputs: Outputs,
    *,
    turns: "Turns",
    order: "AbOrder | None" = None,
) -> int:
    """Pairs, requests, time and power; nothing is started or written."""
    from trt_nemotron.cli.gate_plan import ab_plan_lines, ab_plan_tree

    if outputs.is_json:
        print_json(
            ab_plan_tree(budget, workload, design, _CHANGE_PERCENT, turns=turns, order=order)
        )
        return 0
    for line in ab_plan_lines(budget, workload, design, _CHANGE_PERCENT, turns=turns, order=order):
        console().print(line, markup=False, soft_wrap=True)
    return 0
