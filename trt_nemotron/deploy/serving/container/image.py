"""Images: is one here, is it for this machine, which content does its name stand for.

A tag is a name that moves; what is started is named by digest. A digest is read from the engine and
never made up.
"""

import json
import platform
import re
from dataclasses import dataclass
from typing import Any, Literal

from trt_nemotron.deploy.serving.container.engine import Engine
from trt_nemotron.deploy.serving.container.reference import split_image
from trt_nemotron.errors import CommandFailed, EnvironmentUnfit
from trt_nemotron.progress import SILENT, Progress

PullPolicy = Literal["missing", "always", "never"]

_PULL_TIMEOUT_S = 4 * 3600.0
"""Images of this kind have 10 to 20 GB; the line may be slow."""

_LAYER = re.compile(
    r"^(?P<id>[0-9a-f]{12}): (Pulling fs layer|(?P<done>Pull complete|Already exists))"
    r"|^Copying blob (sha256:)?(?P<blob>[0-9a-f]{12})"
)
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_FAILED = (1, 125)
_MISSING = re.compile(r"no such (image|object)|image not known", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is on this machine.

    Attributes:
        reference: as it was asked for.
        pinned: `name@sha256:...`, or for one that no registry knows its id, which is a digest too.
        digest: `sha256:...` of its manifest; empty when no registry knows it.
        architecture: as engines call it: `amd64`, `arm64`.
        size_bytes: unpacked.
    """

    reference: str
    pinned: str
    digest: str
    architecture: str
    size_bytes: int


def local_image(engine: Engine, reference: str) -> Image | None:
    """The image called `reference` as this machine has it; `None` when it has not.

    Raises:
        CommandFailed: the engine cannot be asked.
    """
    said = engine.ask("image", "inspect", reference, expected=(0, *_FAILED))
    if said.returncode != 0:
        if _MISSING.search(said.stderr):
            return None
        raise CommandFailed(
            f"{engine.name} cannot be asked for the image {reference}", evidence=said.stderr.strip()
        )
    trees = json.loads(said.stdout)
    return _image(reference, trees[0]) if trees else None


def ensure_image(
    engine: Engine,
    reference: str,
    *,
    policy: PullPolicy = "missing",
    progress: Progress = SILENT,
    architecture: str | None = None,
) -> Image:
    """The image called `reference`, pulled when it is not here, fit for this machine.

    Args:
        engine: the engine to ask.
        reference: `name:tag` or `name@sha256:...`.
        policy: whether it may or must be pulled.
        progress: told of the pull.
        architecture: of this machine; without it the machine's own.

    Raises:
        EnvironmentUnfit: it is not here and may not or cannot be pulled, or it is for another
            architecture.
    """
    image = None if policy == "always" else local_image(engine, reference)
    if image is None:
        if policy == "never":
            raise EnvironmentUnfit(
                f"the image {reference} is not on this machine",
                evidence="pulling was switched off",
                next_step=f"Load it, or: {engine.name} pull {reference}",
            )
        progress.phase(f"pulling {reference}")
        _pull(engine, reference, progress)
        image = local_image(engine, reference)
    if image is None:
        raise EnvironmentUnfit(f"{engine.name} pulled {reference} and does not have it")
    _check_architecture(image, architecture or machine_architecture())
    return image


def machine_architecture() -> str:
    """The architecture we run on, as engines call it."""
    return architecture_of(platform.machine().lower())


def architecture_of(machine: str) -> str:
    """What kernels and engines call a processor, as engines call it: `amd64` for `x86_64`."""
    return _ARCHITECTURES.get(machine, machine)


class _Layers:
    """Counts the layers of a pull by what docker and podman print of each.

    Docker prints `1f2d: Pulling fs layer`, later `1f2d: Pull complete` or `1f2d: Already exists`;
    podman prints `Copying blob 1f2d...` when it begins with one, and nothing when it is done.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._known: set[str] = set()
        self._done: set[str] = set()

    def __call__(self, line: str) -> None:
        if found := _LAYER.search(line):
            self._known.add(found["id"] or found["blob"])
            if found["done"]:
                self._done.add(found["id"])
            self._progress.step(len(self._done), len(self._known), "layers")


def _pull(engine: Engine, reference: str, progress: Progress) -> None:
    layers = _Layers(progress)
    try:
        engine.ask("pull", reference, timeout_s=_PULL_TIMEOUT_S, listener=layers)
    except CommandFailed as fault:
        raise EnvironmentUnfit(
            f"the image {reference} cannot be pulled",
            evidence=fault.evidence,
            next_step="Check the name, the network and, for a private registry, "
            f"`{engine.name} login`; or load the image from a file: {engine.name} load -i FILE",
        ) from fault


def _image(reference: str, tree: dict[str, Any]) -> Image:
    digests = [str(it) for it in tree.get("RepoDigests") or []]
    name, _, asked = split_image(reference)
    pinned = next((it for it in digests if asked and it.endswith(asked)), "") or next(
        (it for it in digests if split_image(it)[0] == name), ""
    )
    identity = str(tree["Id"])
    return Image(
        reference=reference,
        pinned=pinned or (identity if identity.startswith("sha256:") else f"sha256:{identity}"),
        digest=split_image(pinned)[2],
        architecture=str(tree.get("Architecture", "")),
        size_bytes=int(tree.get("Size", 0)),
    )


def _check_architecture(image: Image, machine: str) -> None:
    found = architecture_of(image.architecture)
    if found != machine:
        raise EnvironmentUnfit(
            f"the image {image.reference} is for {found or 'an unknown architecture'}",
            evidence=f"this machine is {machine}",
            next_step="Pull the one for this machine, or name another with --image.",
        )
