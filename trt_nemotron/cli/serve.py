"""`trt-nemotron serve`: a bundle becomes an endpoint."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from trt_nemotron.cli.console import drawn_progress, dry_run_option, json_option, print_json
from trt_nemotron.cli.paths import ANY_PATH
from trt_nemotron.cli.place_options import place_options
from trt_nemotron.cli.seconds import Seconds
from trt_nemotron.errors import Interrupted

if TYPE_CHECKING:
    from trt_nemotron.deploy.bundle.values import Manifest
    from trt_nemotron.deploy.runtimes.protocol import Launch, Place
    from trt_nemotron.deploy.serving.placing import PlaceWish
    from trt_nemotron.deploy.serving.running import RunningServer
    from trt_nemotron.deploy.serving.values import Endpoint


@click.command(short_help="Start a bundle and wait until it is ready.")
@click.argument("bundle", type=ANY_PATH)
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
@click.option("--verify", is_flag=True, help="Hash every file of the bundle first.")
@place_options
@dry_run_option
@json_option
def command(
    *,
    bundle: Path,
    name: str,
    port: int,
    detach: bool,
    timeout_s: float,
    verify: bool,
    wanted_place: "PlaceWish",
    dry_run: bool,
    as_json: bool,
) -> None:
    """Start the server of BUNDLE and wait until it has generated a token.

    It listens on 127.0.0.1 only; from another machine use a tunnel:
    ssh -L 8000:127.0.0.1:PORT HOST. In the foreground it runs until Ctrl-C, SIGTERM or
    `trt-nemotron stop`, which are no failures: exit code 0. When this program is killed the server
    ends too.

    TensorRT-LLM runs in its container, by digest, with the bundle read-only and nothing else of
    this machine inside; within that image, or where trtllm-serve is installed, as a process.

    \b
    trt-nemotron serve build/cpu --port 8000
    trt-nemotron serve build/cpu --name demo --detach
    trt-nemotron serve bundles/spark --engine docker --dry-run
    """
    from trt_nemotron.deploy.bundle.reader import read_bundle, verify_bundle
    from trt_nemotron.deploy.observed import record_server
    from trt_nemotron.deploy.runtimes.catalogue import get_runtime
    from trt_nemotron.deploy.serving.container.secrets import check_secrets
    from trt_nemotron.deploy.serving.placing import choose_place
    from trt_nemotron.deploy.serving.server import choose_launch, start_server

    manifest, plan = read_bundle(bundle)
    runtime = get_runtime(manifest.runtime)
    place = choose_place(runtime, plan, manifest, wanted_place, port=port)
    if dry_run:
        check_secrets(place.secret_names)
        launch, url = choose_launch(bundle.absolute(), manifest, plan, runtime, place)
        _show_launch(_dry_start(launch, place, manifest, url), wanted_place.pull, as_json)
        return
    with drawn_progress(is_quiet=as_json) as progress:
        if verify:
            verify_bundle(bundle, progress)
        server = start_server(
            bundle,
            manifest,
            plan,
            runtime,
            name=name,
            place=place,
            pull=wanted_place.pull,
            progress=progress,
            timeout_s=timeout_s,
        )
    with server:
        with drawn_progress(is_quiet=as_json) as progress:
            record_server(server, plan, manifest, runtime, progress)
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


def _dry_start(launch: "Launch", place: "Place", manifest: "Manifest", url: str) -> "Launch":
    """What would be run: for a container the engine's own command. No engine is asked."""
    from msgspec.structs import replace

    from trt_nemotron.deploy.serving.container.arguments import Tags, run_arguments

    if launch.container is None or not place.engine:
        return launch
    port = int(url.rpartition(":")[2])
    argv = run_arguments(
        place.engine,
        launch,
        launch.container,
        Tags(f"trt-nemotron-{manifest.served_model_name}", {"name": manifest.served_model_name}),
        port=port,
    )
    return replace(launch, argv=argv, environment={})


def _show_launch(launch: "Launch", pull: str, as_json: bool) -> None:
    import shlex

    from trt_nemotron.redaction import redact, redacted_environment

    argv = [redact(argument, launch.environment) for argument in launch.argv]
    environment = redacted_environment(launch.environment)
    image = launch.container.image if launch.container else ""
    if as_json:
        tree = {"argv": argv, "environment": environment, "secrets": list(launch.secret_names)}
        print_json({**tree, "image": image, "pull": pull} if image else tree)
        return
    if image:
        click.echo(f"would have {image} here (--pull {pull}) and name it by digest", err=True)
    click.echo("would start:", err=True)
    for variable, value in environment.items():
        click.echo(f"  {variable}={shlex.quote(value)} \\", err=True)
    click.echo(f"  {shlex.join(argv)}", err=True)
    for variable in launch.secret_names:
        how = "by a file with mode 0600" if image else "from this environment"
        click.echo(f"  with {variable} handed on {how}", err=True)
