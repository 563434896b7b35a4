"""`trt-nemotron status`: the servers this tool has started."""

from typing import TYPE_CHECKING

import click

from trt_nemotron.cli.console import json_option, print_json

if TYPE_CHECKING:
    from trt_nemotron.deploy.serving.values import EndpointStatus

_COLOURS = {"ready": "green", "starting": "yellow", "crashed": "red", "stopped": "white"}
_TITLES = ("name", "state", "url", "model", "pid", "up", "memory")


@click.command(short_help="Show the servers this tool started.")
@json_option
def command(as_json: bool) -> None:
    """Show every server this tool started: where it answers, its process, its memory.

    A server that has crashed stays in the list, with the reason, until it is stopped or its name is
    used again. What a killed tool may have left behind is cleaned first.
    """
    from trt_nemotron.deploy.serving.registry import list_endpoints
    from trt_nemotron.deploy.serving.values import StatusReport

    report = StatusReport(endpoints=list_endpoints())
    if as_json:
        print_json(report)
    elif report.endpoints:
        _draw(report.endpoints)
    else:
        click.echo("no servers; start one with: trt-nemotron serve BUNDLE --detach", err=True)


def _draw(statuses: "tuple[EndpointStatus, ...]") -> None:
    """A table that is never cut: an address that is not whole is of no use."""
    rows = [_TITLES, *(_row(status) for status in statuses)]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        cells[1] = click.style(cells[1], fg=_COLOURS.get(row[1]))
        click.echo("  ".join(cells).rstrip(), err=True)
    for status in statuses:
        endpoint = status.endpoint
        if endpoint.reason:
            click.echo(f"{endpoint.name}: {endpoint.reason}", err=True)
            click.echo(f"  trt-nemotron logs {endpoint.name}", err=True)


def _row(status: "EndpointStatus") -> tuple[str, ...]:
    endpoint = status.endpoint
    is_running = status.uptime_s is not None
    return (
        endpoint.name,
        endpoint.state,
        endpoint.url if is_running else "-",
        endpoint.model,
        str(endpoint.server_pid) if is_running else "-",
        _duration(status.uptime_s),
        _size(status.rss_bytes),
    )


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _size(size_bytes: int | None) -> str:
    if size_bytes is None:
        return "-"
    return f"{size_bytes / 2**20:,.0f} MiB"
