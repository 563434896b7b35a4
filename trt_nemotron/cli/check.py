"""`trt-nemotron check`: plan, build, serve, smoke, bench and gate in one go."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trt_nemotron.cli.console import console, dry_run_option, json_option, print_json
from trt_nemotron.cli.deploy_options import deploy_options
from trt_nemotron.cli.paths import FOLDER
from trt_nemotron.cli.place_options import place_options
from trt_nemotron.cli.seconds import Seconds

if TYPE_CHECKING:
    from trt_nemotron.deploy.runtimes.protocol import Wishes
    from trt_nemotron.deploy.serving.placing import PlaceWish
    from trt_nemotron.pipeline.order import CheckOrder


@click.command(short_help="Plan, build, serve, smoke, bench and gate in one go.")
@functools.partial(deploy_options, profile_flag="--plan-profile")
@click.option("--suite", help="Smoke suite: a name or a file.  [default: by the model's name]")
@click.option("--budget", help="Budget: a target that has one, or a file.  [default: the target's]")
@click.option(
    "--profile",
    type=click.Choice(["quick", "standard", "stress", "sweep"]),
    default="quick",
    show_default=True,
    help="Workload of the bench.",
)
@click.option(
    "--out",
    type=FOLDER,
    default=Path("trt-nemotron-check"),
    show_default=True,
    help="Folder for the bundle, the results and the report.",
)
@click.option(
    "--timeout",
    type=Seconds(),
    default=600.0,
    show_default=True,
    help="Seconds that the server may take to become ready.",
)
@place_options
@json_option
@dry_run_option
def command(
    *,
    target: str,
    runtime: str | None,
    checkpoint: Path | None,
    wishes: "Wishes",
    suite: str | None,
    budget: str | None,
    profile: str,
    out: Path,
    timeout: float,
    wanted_place: "PlaceWish",
    as_json: bool,
    dry_run: bool,
) -> int:
    """Run the whole pipeline on this machine, for real, and judge the result.

    Without --checkpoint it takes the embedded test model, which proves the pipeline and not the
    speed of the 4B. The exit code is the gate's; docs/exit-codes.md lists them all.

    \b
    trt-nemotron check --target cpu
    trt-nemotron check --target cpu --runtime transformers --out with-transformers
    """
    from trt_nemotron.deploy.machine import detect_machine
    from trt_nemotron.facts.catalogue import load_target
    from trt_nemotron.measure.bench.workload import find_profile
    from trt_nemotron.measure.gate.budget import default_budget, find_budget
    from trt_nemotron.pipeline.order import CheckOrder

    load_target(target)  # an unknown target is a fault of its own, before its missing budget
    order = CheckOrder(
        target=target,
        runtime=runtime,
        checkpoint=checkpoint,
        wishes=wishes,
        machine=detect_machine(),
        suite=suite or "",
        workload=find_profile(profile),
        budget=find_budget(budget) if budget else default_budget(target, runtime),
        out=out,
        server_timeout_s=timeout,
        place=wanted_place,
        profile=profile,
    )
    if dry_run:
        return _show_dry_run(order, as_json=as_json)
    return _run(order, as_json=as_json)


def _run(order: "CheckOrder", *, as_json: bool) -> int:
    from trt_nemotron.cli.check_screen import drawn_check
    from trt_nemotron.pipeline.check import run_check

    with drawn_check(is_quiet=as_json) as screen:
        result = run_check(order, screen)
    if as_json:
        print_json(result.record)
    else:
        screen.conclude(result)
    return result.record.exit_code


def _show_dry_run(order: "CheckOrder", *, as_json: bool) -> int:
    """The plan and what would follow; nothing is built, started or written."""
    from trt_nemotron.deploy.planning import make_plan
    from trt_nemotron.pipeline.record import STAGES

    plan, _ = make_plan(order.target, order.runtime, order.checkpoint, order.wishes, order.machine)
    if as_json:
        print_json(
            {"plan": plan, "stages": STAGES, "workload": order.workload, "folder": str(order.out)}
        )
        return 0
    screen = console()
    screen.print(
        f"would check {plan.served_model_name} as {plan.precision} on {plan.runtime} "
        f"{plan.release}, into {order.out}:",
        markup=False,
        soft_wrap=True,
    )
    screen.print(f"  {' -> '.join(STAGES)}", markup=False)
    levels = ", ".join(map(str, order.workload.concurrencies))
    screen.print(
        f"  {order.workload.requests_per_concurrency} requests at each of {levels} streams; "
        f"{len(order.budget.bounds) + len(order.budget.relative)} bounds",
        markup=False,
    )
    return 0
