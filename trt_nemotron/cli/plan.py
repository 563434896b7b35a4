"""`trt-nemotron plan`: choose the settings that fit, and say why."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from trt_nemotron.cli.console import json_option, print_json
from trt_nemotron.cli.deploy_options import deploy_options

if TYPE_CHECKING:
    from trt_nemotron.deploy.runtimes.protocol import Wishes


@click.command(short_help="Choose the settings that fit, and say why.")
@deploy_options
@click.option("--explain", is_flag=True, help="Give the reason and source of every setting.")
@json_option
def command(
    *,
    target: str,
    runtime: str | None,
    checkpoint: Path | None,
    wishes: "Wishes",
    explain: bool,
    as_json: bool,
) -> None:
    """Choose every setting for a model on a device, and count its memory in bytes.

    Changes nothing and starts nothing: it reads headers and does arithmetic.

    \b
    trt-nemotron plan --target cpu
    trt-nemotron plan --target cpu --slots 2 --context 4096 --explain
    trt-nemotron plan --target cpu --precision q8_0 --json
    trt-nemotron plan --target h100-sxm --checkpoint nemotron-3-nano-4b-fp8 --profile latency
    """
    from trt_nemotron.deploy.machine import detect_machine
    from trt_nemotron.deploy.planning import make_plan

    plan, _ = make_plan(target, runtime, checkpoint, wishes, detect_machine())
    if as_json:
        print_json(plan)
        return
    from trt_nemotron.cli.plan_table import draw_plan

    draw_plan(plan, is_explained=explain)
