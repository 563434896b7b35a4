"""What the container engines say of themselves and of an image, read with care."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from trt_nemotron.deploy.doctor.examination import Examination
from trt_nemotron.deploy.doctor.host import Answer, Host
from trt_nemotron.deploy.runtimes.protocol import EngineName

DOCKER_INFO = ("docker", "info", "--format", "{{json .}}")
PODMAN_INFO = ("podman", "info", "--format", "json")
DOCKER_COMPOSE = ("docker", "compose", "version", "--short")
PODMAN_COMPOSE = ("podman-compose", "--version")
TOOLKIT = ("nvidia-ctk", "--version")

CDI_FOLDERS = ("/etc/cdi", "/var/run/cdi")
"""Where both engines look for descriptions of devices: https://docs.docker.com/build/building/cdi/"""

_CDI_KIND = re.compile(r"""^\s*"?kind"?\s*:\s*['"]?nvidia\.com/gpu\b""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Engine:
    """A container engine that answers.

    Attributes:
        cgroup: version of control groups, `1` or `2`; empty when it does not say.
        runtimes: names of its OCI runtimes.
        storage: the folder of its images.
    """

    name: EngineName
    version: str
    is_rootless: bool
    cgroup: str = ""
    runtimes: tuple[str, ...] = ()
    storage: str = ""


@dataclass(frozen=True, slots=True)
class Image:
    """An image that an engine has.

    Attributes:
        architecture: `amd64` or `arm64`.
        digests: `name@sha256:...`; none for an image that was built here and never pushed.
        environment: its variables.
    """

    architecture: str
    digests: tuple[str, ...]
    environment: dict[str, str]
    size_bytes: int = 0


def inspect_image(engine: str, image: str) -> tuple[str, ...]:
    """The question about an image."""
    return (engine, "image", "inspect", image)


def find_engine(at: Examination) -> Engine | None:
    """The engine to use: the one asked for, else docker, else podman; `None` when none answers."""
    wanted = at.order.engine
    readers = {"docker": (read_docker, DOCKER_INFO), "podman": (read_podman, PODMAN_INFO)}
    for name, (reader, question) in readers.items():
        if wanted in {"", name} and (engine := reader(at.answer(question))):
            return engine
    return None


def read_docker(answer: Answer) -> Engine | None:
    """The engine behind the answer to `DOCKER_INFO`; the client alone is none."""
    told = _object(answer.output)
    version = _text(told, "ServerVersion")
    if not version:
        return None
    security = _texts(told.get("SecurityOptions"))
    runtimes = told.get("Runtimes")
    return Engine(
        name="docker",
        version=version,
        is_rootless=any("rootless" in it for it in security),
        cgroup=_text(told, "CgroupVersion"),
        runtimes=tuple(sorted(runtimes)) if isinstance(runtimes, dict) else (),
        storage=_text(told, "DockerRootDir"),
    )


def read_podman(answer: Answer) -> Engine | None:
    """The engine behind the answer to `PODMAN_INFO`."""
    told = _object(answer.output)
    version = _text(_inner(told, "version"), "Version")
    if not version:
        return None
    host = _inner(told, "host")
    return Engine(
        name="podman",
        version=version,
        is_rootless=_inner(host, "security").get("rootless") is True,
        cgroup=_text(host, "cgroupVersion").removeprefix("v"),
        runtimes=tuple(it for it in [_text(_inner(host, "ociRuntime"), "name")] if it),
        storage=_text(_inner(told, "store"), "graphRoot"),
    )


def read_image(answer: Answer) -> Image | None:
    """The image of an answer to `inspect_image`; `None` when the engine has none of that name."""
    told = _parsed(answer.output) if answer.is_good else None
    if not (isinstance(told, list) and told and isinstance(told[0], dict)):
        return None
    first = told[0]
    pairs = (it.partition("=") for it in _texts(_inner(first, "Config").get("Env")))
    size = first.get("Size")
    return Image(
        architecture=_text(first, "Architecture"),
        digests=_texts(first.get("RepoDigests")),
        environment={name: value for name, _, value in pairs},
        size_bytes=size if isinstance(size, int) else 0,
    )


def cdi_files(host: Host) -> tuple[str, ...]:
    """Descriptions of NVIDIA GPUs for engines; files of other devices do not count."""
    paths = [f"{folder}/{name}" for folder in CDI_FOLDERS for name in host.listing(folder)]
    return tuple(path for path in paths if _CDI_KIND.search(host.read(path) or ""))


def _parsed(text: str) -> Any:
    """What JSON says, whatever it is; `None` for what is none."""
    try:
        return msgspec.json.decode(text.encode(errors="replace"))
    except (msgspec.DecodeError, RecursionError):
        return None


def _object(text: str) -> dict[str, Any]:
    told = _parsed(text)
    return told if isinstance(told, dict) else {}


def _inner(told: dict[str, Any], key: str) -> dict[str, Any]:
    inner = told.get(key)
    return inner if isinstance(inner, dict) else {}


def _text(told: dict[str, Any], key: str) -> str:
    text = told.get(key)
    return text if isinstance(text, str) else ""


def _texts(told: Any) -> tuple[str, ...]:
    members: Iterable[Any] = told if isinstance(told, list) else ()
    return tuple(it for it in members if isinstance(it, str))
