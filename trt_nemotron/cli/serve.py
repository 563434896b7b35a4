"""`trt-nemotron serve`: a bundle becomes an endpoint."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from trt_nemotron.cli.console import drawn_progress, dry_run_option, json_option, print_json
from trt_nemotron.cli.seconds import Seconds
from trt_nemotron.errors import Interrupted

if TYPE_CHECKING:
    from trt_nemotron.deploy.runtimes.protocol import Launch
    from trt_nemotron.deploy.serving.running import RunningServer
    from trt_nemotron.deploy.serving.values import Endpoint


@click.command(short_help="Start a bundle and wait until it is ready.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--name", default="", show_default="the model's", help="Name of the server on this machine."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default="a free one",
    help="Port on the loopback interface.",
)
@click.option("--detach", is_flag=True, help="Return once it is ready; the server stays.")
@click.option(
    "--timeout",
    "timeout_s",
    type=Seconds(),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="How long it may take to become ready.",
)
@dry_run_option
@json_option
def command(
    *,
    bundle: Path,
    name: str,
    port: int,
    detach: bool,
    timeout_s: float,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Start the server of BUNDLE and wait until it has generated a token.

    It listens on 127.0.0.1 only; from another machine use a tunnel:
    ssh -L 8000:127.0.0.1:PORT HOST. In the foreground it runs until Ctrl-C, SIGTERM or
    `trt-nemotron stop`, which are no failures: exit code 0. When this program is killed the server
    ends too.

    \b
    trt-nemotron serve build/cpu --port 8000
    trt-nemotron serve build/cpu --name demo --detach
    """
    from trt_nemotron.deploy.bundle.reader import read_bundle
    from trt_nemotron.deploy.runtimes.catalogue import get_runtime
    from trt_nemotron.deploy.runtimes.protocol import Place
    from trt_nemotron.deploy.serving.server import choose_launch, start_server

    manifest, plan = read_bundle(bundle)
    runtime = get_runtime(manifest.runtime)
    place = Place(port=port)
    if dry_run:
        launch, _ = choose_launch(bundle.absolute(), manifest, plan, runtime, place)
        _show_launch(launch, as_json)
        return
    with drawn_progress(is_quiet=as_json) as progress:
        server = start_server(
            bundle,
            manifest,
            plan,
            runtime,
            name=name,
            place=place,
            progress=progress,
            timeout_s=timeout_s,
        )
    with server:
        if detach:
            _show_ready(server.detach(), as_json, is_detached=True)
        else:
            _hold(server, as_json)


def _hold(server: "RunningServer", as_json: bool) -> None:
    try:
        _show_ready(server.endpoint, as_json, is_detached=False)
        server.wait()
    except (KeyboardInterrupt, Interrupted):
        click.echo("stopping", err=True)
        server.stop()
        return
    click.echo("stopped by another command", err=True)


def _show_ready(endpoint: "Endpoint", as_json: bool, *, is_detached: bool) -> None:
    if as_json:
        print_json(endpoint)
        return
    click.echo(f"{click.style('ready', fg='green', bold=True)} {endpoint.url}/v1", err=True)
    click.echo(f"  model  {endpoint.model}", err=True)
    click.echo(f"  log    {endpoint.log}", err=True)
    click.echo(f"  try    {_curl(endpoint)}", err=True)
    end = f"trt-nemotron stop {endpoint.name}" if is_detached else "Ctrl-C"
    click.echo(f"  stop   {end}", err=True)


def _curl(endpoint: "Endpoint") -> str:
    import json
    import shlex

    body = {
        "model": endpoint.model,
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
    }
    url = f"{endpoint.url}/v1/chat/completions"
    header = "Content-Type: application/json"
    return shlex.join(["curl", "-s", url, "-H", header, "-d", json.dumps(body)])


def _show_launch(launch: "Launch", as_json: bool) -> None:
    import shlex

    from trt_nemotron.command import redact, redacted_environment

    argv = [redact(argument, launch.environment) for argument in launch.argv]
    environment = redacted_environment(launch.environment)
    if as_json:
        tree = {"argv": argv, "environment": environment, "secrets": list(launch.secret_names)}
        print_json(tree)
        return
    click.echo("would start:", err=True)
    for variable, value in environment.items():
        click.echo(f"  {variable}={shlex.quote(value)} \\", err=True)
    click.echo(f"  {shlex.join(argv)}", err=True)
    for variable in launch.secret_names:
        click.echo(f"  with {variable} handed on from this environment", err=True)
