"""`trt-nemotron targets`: list targets and the runtimes known for each."""

from typing import TYPE_CHECKING

import click

from trt_nemotron.cli.console import json_option, print_json

if TYPE_CHECKING:
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
    for place, support in enumerate(target.runtimes):
        status = click.style(support.status, fg=_STATUS_COLOURS[support.status])
        default = ", default" if place == 0 else ""
        click.echo(f"  {support.runtime} ({status}{default})")
        click.echo(f"    {support.reason}")
        click.echo(click.style(f"    {support.source}", dim=True))
