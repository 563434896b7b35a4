"""`trt-nemotron logs`: what a server has written."""

import time
from typing import TYPE_CHECKING

import click

from trt_nemotron.cli.console import json_option, print_json
from trt_nemotron.errors import Interrupted, InvalidInput

if TYPE_CHECKING:
    from pathlib import Path

    from trt_nemotron.deploy.serving.registry import Registry

_POLL_S = 0.2


@click.command(short_help="Print a server's log.")
@click.argument("name")
@click.option(
    "-n", "lines", type=click.IntRange(min=0), default=50, show_default=True, help="Last lines."
)
@click.option("-f", "--follow", is_flag=True, help="Go on as long as the server runs.")
@json_option
def command(name: str, lines: int, follow: bool, as_json: bool) -> None:
    """Print the end of the log of server NAME, running or not.

    It is what the server itself has written, so it goes to standard output.
    """
    from trt_nemotron.deploy.serving.log import read_tail
    from trt_nemotron.deploy.serving.registry import Registry

    if follow and as_json:
        raise click.UsageError("--follow has no end, so it cannot be JSON: leave one out")
    registry = Registry()
    path = _log_of(registry, name)
    if as_json:
        print_json({"name": name, "log": str(path), "lines": read_tail(path, lines)})
        return
    size = path.stat().st_size
    for line in read_tail(path, lines, end=size):
        click.echo(line)
    if follow:
        _follow(registry, name, path, size)


def _log_of(registry: "Registry", name: str) -> "Path":
    from pathlib import Path

    endpoint = registry.read(name)
    path = Path(endpoint.log) if endpoint is not None else registry.log_path(name)
    if not path.is_file():
        raise InvalidInput(
            f"no server called {name} has a log",
            evidence=f"there is no {path}",
            next_step="See: trt-nemotron status",
        )
    return path


def _follow(registry: "Registry", name: str, path: "Path", offset: int) -> None:
    from trt_nemotron.deploy.serving.log import LogReader
    from trt_nemotron.deploy.serving.registry import is_guarded

    reader = LogReader(path, offset)
    try:
        while True:
            endpoint = registry.read(name)
            is_running = endpoint is not None and is_guarded(endpoint)
            for line in reader.new_lines():
                click.echo(line)
            if not is_running:
                return
            time.sleep(_POLL_S)
    except (KeyboardInterrupt, Interrupted):
        return  # the only way to end it early is no failure
