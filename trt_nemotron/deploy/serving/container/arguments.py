"""The argument list that starts a container: a list, never a shell string.

Least privilege is the same for every server: no capability, no new privileges, a root file system
that cannot be written, nothing of this machine's environment, and ports on loopback only.
Grammars: https://docs.docker.com/reference/cli/docker/container/run/ and
https://docs.podman.io/en/v4.3/markdown/podman-run.1.html
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from trt_nemotron.deploy.runtimes.protocol import LOOPBACK, Containment, EngineName, Launch, Mount
from trt_nemotron.errors import InvalidInput

LABEL = "io.trt-nemotron"
"""Prefix of our labels; only containers that carry them are ever touched."""

_STOP_S = 10
_GPU: Mapping[EngineName, tuple[str, ...]] = {
    "docker": ("--gpus", "all"),
    # By the container device interface, as NVIDIA's toolkit documents for podman:
    # https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/cdi-support.html
    "podman": ("--device", "nvidia.com/gpu=all"),
}
_SCRATCH = "rw,exec,nosuid,nodev,mode=1777"  # what is compiled at start is loaded from there


@dataclass(frozen=True, slots=True)
class Tags:
    """By what a container is known again.

    Attributes:
        name: of the container.
        labels: without their prefix, value by name.
    """

    name: str
    labels: Mapping[str, str]


def run_arguments(
    engine: EngineName,
    launch: Launch,
    containment: Containment,
    tags: Tags,
    *,
    port: int,
    env_file: Path | None = None,
) -> tuple[str, ...]:
    """Program and arguments that start `launch` in a container and stay until it ends.

    Args:
        engine: whose grammar.
        launch: the command and the environment inside.
        containment: the container around it.
        tags: its name and labels.
        port: on this machine's loopback, at which the server is to be reached.
        env_file: variables that are secret, one a line.

    Raises:
        InvalidInput: a path that engines cannot be told.
    """
    words = [engine, "run", "--rm", "--init", "--pull", "never", "--name", tags.name]
    for label, value in sorted(tags.labels.items()):
        words += ["--label", f"{LABEL}.{label}={value}"]
    words += ["--stop-timeout", str(_STOP_S)]
    words += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--read-only"]
    if engine == "podman":
        words.append("--http-proxy=false")  # docker hands proxies on only where it is configured to
    words += _network(containment, port)
    words += _limits(containment)
    if containment.needs_gpu:
        words += _GPU[engine]
    words += _storage(containment)
    for name, value in sorted(launch.environment.items()):
        words += ["--env", f"{name}={value}"]
    if env_file is not None:
        words += ["--env-file", str(env_file)]
    return (*words, containment.image, *launch.argv)


def _network(containment: Containment, port: int) -> Iterator[str]:
    if containment.is_host_network:
        yield from ("--network", "host")
    else:
        yield from ("--publish", f"{LOOPBACK}:{port}:{containment.port}")


def _limits(containment: Containment) -> Iterator[str]:
    if containment.ipc != "private":
        yield from ("--ipc", containment.ipc)
    for name, value in sorted(containment.ulimits.items()):
        yield from ("--ulimit", f"{name}={value}")


def _storage(containment: Containment) -> Iterator[str]:
    for path in containment.scratch:
        yield from ("--tmpfs", f"{path}:{_SCRATCH}")
    for mount in containment.mounts:
        yield from ("--mount", _bind(mount))
    if containment.cache_volume:
        volume = f"source={containment.cache_volume},target={containment.cache_target}"
        yield from ("--mount", f"type=volume,{volume}")


def _bind(mount: Mount) -> str:
    for path in (mount.source, mount.target):
        if any(sign in path for sign in ',"\n'):  # the value is a line of CSV; engines differ on it
            raise InvalidInput(
                f"{path} cannot be handed to a container engine",
                evidence="a comma, a quotation mark or a line break in the path",
                next_step="Move the bundle to a folder without them.",
            )
    ending = "" if mount.is_writable else ",readonly"
    return f"type=bind,source={mount.source},target={mount.target}{ending}"
