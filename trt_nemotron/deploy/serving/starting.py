"""A start: what the guard is told to run for an endpoint, as a process or as a container."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from trt_nemotron.deploy.bundle.values import Manifest
from trt_nemotron.deploy.runtimes.protocol import Containment, EngineName, Launch
from trt_nemotron.deploy.serving.container.arguments import Tags, run_arguments
from trt_nemotron.deploy.serving.container.cleaning import removal_arguments
from trt_nemotron.deploy.serving.processes import INSTANCE_VARIABLE
from trt_nemotron.deploy.serving.values import Endpoint
from trt_nemotron.redaction import scrubbed_environment

_INSTANCE_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Start:
    """What to run, and what to run and remove when it has ended.

    Attributes:
        endpoint: as it goes on record.
        argv: program and arguments.
        environment: the whole environment of that program.
        after: program and arguments that end what is no child of the program.
        secrets: the file that has to hold `secret_names` when the program starts.
    """

    endpoint: Endpoint
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    after: tuple[str, ...] = ()
    secrets: Path | None = None
    secret_names: tuple[str, ...] = ()


def process_start(endpoint: Endpoint, launch: Launch) -> Start:
    """The server as a process: it inherits our environment but for MPI's and secret variables."""
    environment = scrubbed_environment(
        {**launch.environment, **_marks(endpoint)}, named=launch.secret_names
    )
    return Start(endpoint, launch.argv, environment)


def container_start(
    endpoint: Endpoint,
    launch: Launch,
    containment: Containment,
    engine: EngineName,
    *,
    port: int,
    folder: Path,
    manifest: Manifest,
) -> Start:
    """The server in a container: nothing of our environment is inside, secrets come by file.

    Args:
        endpoint: of the server.
        launch: its command and environment inside.
        containment: the container, with the image as it is to be run.
        engine: the engine to run it with.
        port: on this machine's loopback.
        folder: private to this user, for the file of secrets.
        manifest: of the bundle it serves, for the labels.
    """
    name = container_name(endpoint)
    secrets = folder / f".secrets-{endpoint.instance}.env" if launch.secret_names else None
    inside = replace(launch, environment={**launch.environment, **_marks(endpoint)})
    argv = run_arguments(
        engine,
        inside,
        containment,
        Tags(name, _labels(endpoint, manifest)),
        port=port,
        env_file=secrets,
    )
    held = replace(endpoint, engine=engine, container=name, image=containment.image)
    return Start(
        held,
        argv,
        scrubbed_environment(),
        after=removal_arguments(engine, name),
        secrets=secrets,
        secret_names=launch.secret_names,
    )


def container_name(endpoint: Endpoint) -> str:
    """The name of an endpoint's container: the endpoint's own, and a word that makes it unique."""
    return f"trt-nemotron-{endpoint.name}-{endpoint.instance[:_INSTANCE_SHOWN]}"


def _marks(endpoint: Endpoint) -> dict[str, str]:
    return {
        "PYTHONUNBUFFERED": "1",  # its log is read while it starts
        INSTANCE_VARIABLE: endpoint.instance,
    }


def _labels(endpoint: Endpoint, manifest: Manifest) -> dict[str, str]:
    return {
        "configuration": manifest.configuration_sha256,
        "instance": endpoint.instance,
        "name": endpoint.name,
        "release": f"{manifest.runtime} {manifest.release}",
        "target": manifest.target,
    }
