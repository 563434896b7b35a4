"""`trt-nemotron doctor`: what does this machine lack for a target?"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from trt_nemotron.cli.console import json_option, print_json
from trt_nemotron.cli.deploy_options import complete_runtime, complete_target
from trt_nemotron.cli.paths import ANY_PATH
from trt_nemotron.cli.place_options import refuse_blank
from trt_nemotron.errors import CheckFailed, InvalidInput

if TYPE_CHECKING:
    from trt_nemotron.deploy.doctor.examination import Answers
    from trt_nemotron.deploy.doctor.host import Host
    from trt_nemotron.deploy.doctor.order import Folders
    from trt_nemotron.deploy.doctor.values import DoctorReport, Finding
    from trt_nemotron.deploy.plan import Plan
    from trt_nemotron.deploy.runtimes.protocol import EngineName


@click.command(short_help="Find out what this machine lacks for a target.")
@click.option(
    "--target",
    metavar="NAME",
    shell_complete=complete_target,
    help="The device; `h100` is the board of this machine.  [default: what this machine is]",
)
@click.option(
    "--runtime",
    metavar="NAME",
    shell_complete=complete_runtime,
    help="What serves the model.  [default: the target's own]",
)
@click.option("--release", metavar="VERSION", help="Of the runtime.  [default: the target's]")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Where it is to listen.")
@click.option(
    "--engine", type=click.Choice(["docker", "podman"]), help="[default: whichever answers]"
)
@click.option(
    "--image",
    metavar="NAME",
    callback=refuse_blank,
    help="Container image.  [default: the release's]",
)
@click.option(
    "--bundle",
    type=ANY_PATH,
    help="Judge memory, image and target by this bundle's plan.",
)
@click.option("--strict", is_flag=True, help="Take warnings for failures.")
@json_option
def command(
    *,
    target: str | None,
    runtime: str | None,
    release: str | None,
    port: int,
    engine: "EngineName | None",
    image: str | None,
    bundle: Path | None,
    strict: bool,
    as_json: bool,
) -> int:
    """Look at this machine, and say what is wrong with it for a target, why, and what to do.

    Board, driver, containers, memory, power, disk, environment and clock are looked at; nothing is
    changed and nothing goes over a network. Exit code 1 when a check fails.

    \b
    trt-nemotron doctor
    trt-nemotron doctor --target spark --port 8000
    trt-nemotron doctor --target h100 --json
    """
    from trt_nemotron.deploy.doctor.examine import ask_board, detect, examine
    from trt_nemotron.deploy.doctor.host import LocalHost
    from trt_nemotron.deploy.doctor.order import make_order
    from trt_nemotron.facts.catalogue import load_target

    host = LocalHost()
    plan = _plan_of(bundle)
    answers = ask_board(host)
    name = _resolved(
        target or (plan.target if plan else "") or detect(host, answers).target, host, answers
    )
    _refuse_other_bundle(name, plan)
    order = make_order(
        load_target(name),
        _folders(),
        runtime=runtime or "",
        release=release or "",
        image=image or "",
        engine=engine or "",
        port=port,
        plan=plan,
    )
    report = examine(order, host, answers)
    failures = report.having("fail", "warn") if strict else report.having("fail")
    if as_json:
        print_json(report)
        return CheckFailed.exit_code if failures else 0
    from trt_nemotron.cli.doctor_table import draw_report

    draw_report(report)
    return _conclude(report, failures)


def _plan_of(bundle: Path | None) -> "Plan | None":
    if bundle is None:
        return None
    from trt_nemotron.deploy.bundle.reader import read_bundle

    return read_bundle(bundle)[1]


def _refuse_other_bundle(target: str, plan: "Plan | None") -> None:
    if plan is not None and plan.target != target:
        raise InvalidInput(
            f"the bundle is for {plan.target}, and not for {target}",
            next_step="Leave --target away, or build a bundle for that target.",
        )


def _resolved(name: str, host: "Host", answers: "Answers") -> str:
    """The target that `name` means; the board of a family is known without a driver, too."""
    from trt_nemotron.deploy.boards import resolve_target
    from trt_nemotron.deploy.doctor.examine import detect, shown_names
    from trt_nemotron.facts.catalogue import load_target, target_names

    shown = shown_names(answers)
    if not shown:
        seen = detect(host, answers).target
        if seen in target_names() and load_target(seen).family == name:
            return seen
    return resolve_target(name, lambda: shown)


def _folders() -> "Folders":
    from platformdirs import user_cache_path

    from trt_nemotron.deploy.doctor.order import Folders
    from trt_nemotron.deploy.serving.registry import servers_folder

    return Folders(
        work=str(Path.cwd()),
        state=str(servers_folder()),
        cache=str(user_cache_path("trt-nemotron", appauthor=False)),
    )


def _conclude(report: "DoctorReport", failures: "tuple[Finding, ...]") -> int:
    if not failures:
        return 0
    raise CheckFailed(
        f"this machine is not fit for {report.target}",
        evidence=", ".join(finding.id for finding in failures),
        next_step=failures[0].remedy,
    )
