"""How `trtllm-serve` is started: in a container of its own, or as a process inside one."""

import shutil
from pathlib import Path

from trt_nemotron.deploy.bundle.values import MODEL_FOLDER, Manifest
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.protocol import Containment, Launch, Mount, Place
from trt_nemotron.deploy.runtimes.trtllm.log import PHASES, READY_PATTERN
from trt_nemotron.deploy.runtimes.trtllm.render import PROGRAM, environment, server_arguments
from trt_nemotron.deploy.runtimes.trtllm.runtime import CONFIG_NAME, CONTAINER_CACHE
from trt_nemotron.errors import EnvironmentUnfit
from trt_nemotron.facts.catalogue import load_target

BUNDLE_INSIDE = "/bundle"
PORT_INSIDE = 8000
WARMUPS = 3
"""The guide warns that the first requests after `/health` may still be slow:
https://github.com/NVIDIA/TensorRT-LLM/blob/30d2c50c/docs/source/deployment-guide/deployment-guide-for-nemotron-3-on-trtllm.md
"""

_HOME_INSIDE = f"{CONTAINER_CACHE}/home"
_ULIMITS = {"memlock": "-1", "stack": "67108864"}  # as the model card starts it, and with its ipc
_GENERATE_ROUTE = "/health_generate"


def in_container(
    bundle: Path, manifest: Manifest, plan: Plan, place: Place, release_image: str
) -> Launch:
    """The server in a container: the bundle read-only, compiled artefacts in a volume.

    The root file system cannot be written, so the home folder, where libraries keep what has no
    variable of its own, lies in that volume too.
    """
    port = place.port if place.is_host_network else PORT_INSIDE
    arguments = server_arguments(
        plan,
        model=f"{BUNDLE_INSIDE}/{manifest.model_path}",
        config=f"{BUNDLE_INSIDE}/{MODEL_FOLDER}/{CONFIG_NAME}",
        port=port,
        host="127.0.0.1" if place.is_host_network else "0.0.0.0",  # noqa: S104 - inside
    )
    return Launch(
        argv=arguments,
        environment={"HOME": _HOME_INSIDE, **environment(plan, CONTAINER_CACHE)},
        phases=PHASES,
        ready_pattern=READY_PATTERN,
        secret_names=place.secret_names,
        generate_route=_GENERATE_ROUTE,
        warmups=WARMUPS,
        container=Containment(
            image=place.image or manifest.image or release_image,
            port=port,
            is_host_network=place.is_host_network,
            mounts=(Mount(source=str(bundle.absolute()), target=BUNDLE_INSIDE),),
            cache_volume=f"trt-nemotron-{cache_key(plan, manifest)}",
            cache_target=CONTAINER_CACHE,
            ipc="host",
            ulimits=_ULIMITS,
        ),
    )


def as_process(
    bundle: Path, manifest: Manifest, plan: Plan, place: Place, release_image: str
) -> Launch:
    """The server as a process, as inside NVIDIA's image.

    Raises:
        EnvironmentUnfit: it is not on PATH.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise EnvironmentUnfit(
            f"{PROGRAM} is not on PATH",
            next_step=f"Start it in its container with --engine docker, or run this inside "
            f"{release_image}.",
        )
    arguments = server_arguments(
        plan,
        model=str(bundle.absolute() / manifest.model_path),
        config=str(bundle.absolute() / MODEL_FOLDER / CONFIG_NAME),
        port=place.port,
    )
    cache = str(_cache_folder(plan, manifest))
    return Launch(
        argv=(program, *arguments[1:]),
        environment=environment(plan, cache),
        phases=PHASES,
        ready_pattern=READY_PATTERN,
        secret_names=place.secret_names,
        generate_route=_GENERATE_ROUTE,
        warmups=WARMUPS,
        folders=(cache,),
    )


def cache_key(plan: Plan, manifest: Manifest) -> str:
    """A name for compiled artefacts, apart by board, SM, release and configuration.

    Stale ones are loaded in silence: the autotuner's file records the device and the version and
    compares neither (https://github.com/spark-arena/sparkrun/issues/256).
    """
    gpu = load_target(plan.target).gpu
    sm = f"sm{gpu.sm}" if gpu is not None else "sm0"
    return f"trtllm-{plan.target}-{sm}-{plan.release}-{manifest.configuration_sha256[:12]}"


def _cache_folder(plan: Plan, manifest: Manifest) -> Path:
    from platformdirs import user_cache_path

    folder: Path = user_cache_path("trt-nemotron") / cache_key(plan, manifest)
    return folder
