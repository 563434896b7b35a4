"""`trt-nemotron targets`: list targets and the runtimes known for each."""

from typing import TYPE_CHECKING

import click

from trt_nemotron.cli.console import json_option, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trt_nemotron.facts.figure import Figure
    from trt_nemotron.facts.target import Target

_STATUS_COLOURS = {"supported": "green", "experimental": "yellow", "refused": "red"}


@click.command(short_help="List targets and the runtimes known for each.")
@json_option
def command(*, as_json: bool) -> None:
    """List every device this version knows, with its runtimes, the default one first.

    \b
    trt-nemotron targets
    trt-nemotron targets --json
    """
    from trt_nemotron.facts.catalogue import load_target, target_names

    targets = [load_target(name) for name in target_names()]
    if as_json:
        print_json(targets)
        return
    for target in targets:
        _show(target)


def _show(target: "Target") -> None:
    click.echo(f"{click.style(target.name, bold=True)}  {target.title}")
    for line in _facts(target):
        click.echo(click.style(f"  {line}", dim=True))
    for place, support in enumerate(target.runtimes):
        status = click.style(support.status, fg=_STATUS_COLOURS[support.status])
        default = ", default" if place == 0 else ""
        release = f" {support.release}" if support.release else ""
        click.echo(f"  {support.runtime}{release} ({status}{default})")
        click.echo(f"    {support.reason}")
        if support.release_reason:
            click.echo(f"    {support.release}: {support.release_reason}")
        click.echo(click.style(f"    {support.source}", dim=True))


def _facts(target: "Target") -> "Iterator[str]":
    """Memory, bandwidth and architecture of a board, with what is not confirmed marked."""
    if target.family:
        yield f"--target {target.family} asks the driver which board this machine has"
    memory = target.seen_memory
    if memory is not None:
        kind = ", shared with the host" if target.gpu and target.gpu.is_memory_unified else ""
        yield f"{memory.value / (1 << 30):.1f} GiB usable{_mark(memory)}{kind}"
    if target.gpu is not None:
        bandwidth = target.gpu.bandwidth_gb_s
        count = target.gpu.sm_count
        sms = f", {count.value:.0f} SMs{_mark(count)}" if count else ""
        yield f"{bandwidth.value:,.0f} GB/s{_mark(bandwidth)}, {target.gpu.sm_name}{sms}"
    modes = [
        f"{mode.name} {mode.power_w.value:.0f} W{_mark(mode.power_w)}"
        for mode in target.power_modes
        if mode.power_w
    ]
    if modes:
        yield f"power: {', '.join(modes)}"
    if target.container_platform:
        yield f"containers for {target.container_platform}"


def _mark(figure: "Figure") -> str:
    return " (unverified)" if figure.status == "unverified" else ""
