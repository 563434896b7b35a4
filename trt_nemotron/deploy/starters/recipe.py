"""What all starters say, each in its own words: the very arguments with which `serve` starts.

They are asked of the runtime and of `deploy.serving.container` for a place that does not exist;
whatever differs from machine to machine stands there as a mark, which each starter puts in its own
terms. So no starter can drift from `serve`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from trt_nemotron.deploy.bundle.values import Manifest
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.protocol import Containment, EngineName, Launch, Place, Runtime
from trt_nemotron.deploy.serving.container.arguments import Tags, run_arguments
from trt_nemotron.deploy.serving.container.reference import is_pinned

BUNDLE_MARK = "/@BUNDLE@"
CACHE_MARK = "/@CACHE@"
NAME_MARK = "@NAME@"
PORT_MARK = 59_999
"""Marks: the bundle's folder, the folder of compiled artefacts where no volume holds them, the
container's name, and the port on this machine."""

PORT = 8000
"""On loopback, where nobody names another."""

_PREFIX = "trt-nemotron-"
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A start, with marks for what a machine decides.

    Attributes:
        name: of the container and the unit; letters, digits, `_`, `.` and `-`.
        title: what is started, for people.
        image: by digest where one is pinned, else by tag; empty when none is known.
        options: words between `run` and the image, for each engine.
        command: program and arguments inside.
        here: program and arguments as a process on this machine.
        here_environment: variables of that process.
        cache: a name for the compiled artefacts of this bundle.
    """

    name: str
    title: str
    image: str
    options: Mapping[EngineName, tuple[str, ...]]
    command: tuple[str, ...]
    here: tuple[str, ...]
    here_environment: Mapping[str, str]
    cache: str

    @property
    def is_pinned(self) -> bool:
        """Whether the image is named by its content."""
        return is_pinned(self.image)


def recipe_of(runtime: Runtime, plan: Plan, manifest: Manifest) -> Recipe | None:
    """The recipe of a bundle; nothing for a runtime that has no image.

    Such a one is a Python package: whoever could start it has this tool.

    Args:
        runtime: whose server it is.
        plan: of the bundle.
        manifest: of the bundle; its list of files is not needed.
    """
    if not (manifest.image or runtime.image(plan)):
        return None
    inside = _launch(runtime, plan, manifest, Place(port=PORT_MARK, engine="docker"))
    beside = _launch(
        runtime, plan, manifest, Place(port=PORT_MARK, engine="docker", is_host_network=True)
    )
    contained = inside.container
    if contained is None:
        return None
    return Recipe(
        name=f"{_PREFIX}{_UNSAFE.sub('-', manifest.name)}",
        title=f"{manifest.served_model_name} with {manifest.runtime} {manifest.release} "
        f"for {manifest.target}",
        image=contained.image,
        options={engine: _options(engine, inside, manifest) for engine in ("docker", "podman")},
        command=inside.argv,
        here=tuple(_outside(word, contained) for word in beside.argv),
        here_environment={
            name: _outside(value, contained) for name, value in beside.environment.items()
        },
        cache=contained.cache_volume.removeprefix(_PREFIX),
    )


def _launch(runtime: Runtime, plan: Plan, manifest: Manifest, place: Place) -> Launch:
    launch = runtime.launch(Path(BUNDLE_MARK), manifest, plan, place)
    return replace(launch, environment={**launch.environment, "PYTHONUNBUFFERED": "1"})


def _outside(word: str, contained: Containment) -> str:
    """A path inside the container as a path on this machine."""
    places = {mount.target: mount.source for mount in contained.mounts}
    places[contained.cache_target] = CACHE_MARK
    for inside, outside in places.items():
        if inside and (word == inside or word.startswith(f"{inside}/")):
            return outside + word.removeprefix(inside)
    return word


def _options(engine: EngineName, launch: Launch, manifest: Manifest) -> tuple[str, ...]:
    contained = launch.container
    if contained is None:
        return ()
    labels = {
        "configuration": manifest.configuration_sha256,
        "release": f"{manifest.runtime} {manifest.release}",
        "starter": NAME_MARK,
        "target": manifest.target,
    }
    words = run_arguments(engine, launch, contained, Tags(NAME_MARK, labels), port=PORT_MARK)
    return words[2 : len(words) - len(launch.argv) - 1]
