"""Start a bundle's server and hold it.

    with start_server(bundle, manifest, plan, runtime, name="demo") as server:
        ...  # server.endpoint.url answers

At the end of the block, at Ctrl-C, and when this process is killed, the server ends too, unless
`detach()` was called. `serve` and the pipeline both go through here.
"""

import functools
import os
import re
import secrets
import time
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path

import psutil
from msgspec.structs import replace

from trt_nemotron.deploy.bundle.values import Manifest
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.protocol import (
    LOOPBACK,
    Containment,
    EngineName,
    Launch,
    Place,
    Runtime,
)
from trt_nemotron.deploy.serving.container.engine import find_engine
from trt_nemotron.deploy.serving.container.image import PullPolicy, ensure_image
from trt_nemotron.deploy.serving.container.secrets import check_secrets, write_secrets
from trt_nemotron.deploy.serving.free_memory import check_free_memory
from trt_nemotron.deploy.serving.lifeline import Lifeline
from trt_nemotron.deploy.serving.log import LogReader
from trt_nemotron.deploy.serving.ports import free_port, require_free
from trt_nemotron.deploy.serving.processes import creation_time
from trt_nemotron.deploy.serving.readiness import NotReady, Question, Readiness, tells_address
from trt_nemotron.deploy.serving.registry import Registry, require_room
from trt_nemotron.deploy.serving.running import GRACE_S, GUARD_MARGIN_S, RunningServer
from trt_nemotron.deploy.serving.starting import Start, container_start, process_start
from trt_nemotron.deploy.serving.transport import Transport, send
from trt_nemotron.deploy.serving.values import Endpoint
from trt_nemotron.errors import InvalidInput
from trt_nemotron.facts.catalogue import load_release, load_target
from trt_nemotron.facts.release import KnownFailure
from trt_nemotron.progress import SILENT, Progress

ANYWHERE = Place()
"""A process, at whatever port is free."""

DEFAULT_TIMEOUT_S = 600.0
"""Long enough for the slowest start this tool knows of: weights of 8 GB and their compilation."""


def default_name(manifest: Manifest) -> str:
    """The model's name, made fit to name an endpoint and to be typed after `stop`."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", manifest.served_model_name)
    return name.strip("-._")[:63] or "server"


def choose_launch(
    bundle: Path, manifest: Manifest, plan: Plan, runtime: Runtime, place: Place
) -> tuple[Launch, str]:
    """How to start, and the server's address as far as it is known before (else empty).

    A server that chooses a free port itself is left to it; for one that cannot, we choose.
    """
    launch = runtime.launch(bundle, manifest, plan, place)
    if place.port == 0:
        if tells_address(launch):
            return launch, ""
        place = replace(place, port=free_port())
        launch = runtime.launch(bundle, manifest, plan, place)
    return launch, f"http://{LOOPBACK}:{place.port}"


def start_server(
    bundle: Path,
    manifest: Manifest,
    plan: Plan,
    runtime: Runtime,
    *,
    name: str = "",
    place: Place = ANYWHERE,
    pull: PullPolicy = "missing",
    progress: Progress = SILENT,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    registry: Registry | None = None,
    log: Path | None = None,
    grace_s: float = GRACE_S,
    transport: Transport = send,
) -> RunningServer:
    """Start the server of a bundle on loopback and wait until it has generated a token.

    Args:
        bundle: the bundle's folder.
        manifest: its manifest.
        plan: its plan.
        runtime: the runtime it was built for.
        name: the endpoint's name on this machine; without it the model's.
        place: where it runs and listens; without it a process at a free port.
        pull: whether a container's image may or must be pulled.
        progress: told of the phases.
        timeout_s: seconds it may take to become ready.
        registry: where the endpoint is kept on record; without it the user's own.
        log: where the server's output goes; without it the registry's folder.
        grace_s: seconds the server has to end by itself when it is stopped.
        transport: how the server is asked.

    Raises:
        EnvironmentUnfit: the port or the name is taken, no state can be kept, too little memory is
            free on a board that shares it, or there is no engine or no image for a container.
        InvalidInput: `name` may not name an endpoint, or a secret is not set.
        ServerFailed: it did not become ready; nothing of it is left then but its log.
    """
    require_free(place.port)
    check_secrets(place.secret_names)
    registry = registry or Registry()
    launch, url = choose_launch(bundle.absolute(), manifest, plan, runtime, place)
    name = name or default_name(manifest)
    log = (log or registry.log_path(name)).absolute()
    endpoint = _new_endpoint(
        name, url, bundle=bundle.absolute(), manifest=manifest, runtime=runtime, log=log
    )
    check_free_memory(plan, load_target(plan.target), psutil.virtual_memory())
    for folder in launch.folders:
        Path(folder).mkdir(parents=True, exist_ok=True)
    start = process_start(endpoint, launch)
    if launch.container is not None and place.engine:
        container = _pinned(launch.container, place.engine, pull, progress)
        start = container_start(
            endpoint,
            launch,
            container,
            place.engine,
            port=int(url.rpartition(":")[2]),
            folder=registry.folder,
            manifest=manifest,
        )
    begun = time.monotonic()
    server, pid = _start_held(start, registry, grace_s, _known_failures(plan, runtime), launch)
    readiness = Readiness(
        Question(launch, url, manifest.served_model_name, timeout_s),
        server=server,
        log=LogReader(log),
        transport=_authorized(transport, launch),
        progress=progress,
    )
    try:
        _await_ready(server, pid, readiness, begun)
    finally:
        if start.secrets is not None:  # the engine has read it, or never will
            start.secrets.unlink(missing_ok=True)
    return server


def _new_endpoint(
    name: str, url: str, *, bundle: Path, manifest: Manifest, runtime: Runtime, log: Path
) -> Endpoint:
    return Endpoint(
        name=name,
        state="starting",
        url=url,
        model=manifest.served_model_name,
        runtime=runtime.name,
        bundle=str(bundle),
        log=str(log),
        guard_pid=0,
        guard_started=0.0,
        started_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        instance=secrets.token_hex(16),
    )


def _await_ready(server: RunningServer, pid: int, readiness: Readiness, begun: float) -> None:
    """Wait until it answers, and put that on record; on every way out but that it is stopped.

    Raises:
        ServerFailed: it did not become ready.
    """
    try:
        server.record(replace(server.endpoint, server_pid=pid, server_started=creation_time(pid)))
        url = readiness.wait()
        server.ready_s = round(time.monotonic() - begun, 3)
        server.record(replace(server.endpoint, state="ready", url=url))
    except NotReady as fault:
        failure = server.failure(str(fault))
        server.stop()
        raise failure from None
    except BaseException:
        server.stop()
        raise


def _pinned(
    containment: Containment, name: EngineName, pull: PullPolicy, progress: Progress
) -> Containment:
    """The container with its image here, and named by digest."""
    image = ensure_image(find_engine(name), containment.image, policy=pull, progress=progress)
    if not image.digest:
        progress.note(f"{image.reference} is in no registry: run by its id {image.pinned[:19]}")
    return replace(containment, image=image.pinned)


def _authorized(transport: Transport, launch: Launch) -> Transport:
    """`transport`, with the key that the server asks for."""
    key = os.environ.get(launch.api_key_variable, "") if launch.api_key_variable else ""
    return functools.partial(transport, api_key=key) if key else transport


def _known_failures(plan: Plan, runtime: Runtime) -> tuple[KnownFailure, ...]:
    """Of the plan's own release, where there is a file of it; of the newest one otherwise."""
    try:
        return load_release(plan.runtime, plan.release).known_failures
    except InvalidInput:
        return runtime.release().known_failures


def _start_held(
    start: Start,
    registry: Registry,
    grace_s: float,
    known_failures: Iterable[KnownFailure],
    launch: Launch,
) -> tuple[RunningServer, int]:
    """Take the name, start guard and server, and put them on record; all or nothing.

    Returns:
        The server and its process id, which is not on record yet.
    """
    endpoint = start.endpoint
    with registry.claimed(endpoint.name):
        _make_log(Path(endpoint.log))
        for folder in {registry.folder, Path(endpoint.log).parent}:
            require_room(folder)
        lifeline = Lifeline.to_new_guard(folder=registry.folder, log=Path(endpoint.log))
        held = replace(
            endpoint,
            guard_pid=lifeline.guard_pid,
            guard_started=creation_time(lifeline.guard_pid),
        )
        server = RunningServer(
            held,
            lifeline,
            registry,
            grace_s=grace_s,
            known_failures=known_failures,
            launch=launch,
        )
        try:
            if start.secrets is not None:
                write_secrets(start.secrets, start.secret_names)
            lifeline.order_start(
                start.argv,
                start.environment,
                document=held,
                path=registry.document_path(held.name),
                grace_s=grace_s,
                after=start.after,
                temporary=start.secrets,
            )
            event = server.expect("started")
        except BaseException:
            lifeline.close()
            lifeline.wait_for_end(grace_s + GUARD_MARGIN_S)
            raise
    return server, event.pid


def _make_log(path: Path) -> None:
    """A new, empty log that only its owner can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
