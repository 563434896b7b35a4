"""Where a server is to run: as a process where its program is, else in a container."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from trt_nemotron.deploy.bundle.values import Manifest
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.protocol import EngineName, Place, Runtime
from trt_nemotron.deploy.serving.container.engine import Engine, find_engine
from trt_nemotron.deploy.serving.container.image import PullPolicy
from trt_nemotron.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class PlaceWish:
    """What the user asked for.

    Attributes:
        engine: `auto` leaves the choice to us.
        image: in place of the bundle's or the release's own; empty for that one.
        pull: whether it may or must be pulled.
        is_host_network: whether a container uses this machine's network.
        secret_names: variables of our own environment that the server gets too.
    """

    engine: Literal["auto", "process", "docker", "podman"] = "auto"
    image: str = ""
    pull: PullPolicy = "missing"
    is_host_network: bool = False
    secret_names: tuple[str, ...] = ()


ANY_PLACE = PlaceWish()


def choose_place(
    runtime: Runtime,
    plan: Plan,
    manifest: Manifest,
    wish: PlaceWish = ANY_PLACE,
    *,
    port: int = 0,
    find: Callable[[EngineName | None], Engine] = find_engine,
) -> Place:
    """The place for a bundle's server.

    A runtime without an image is a process; so is one whose program is here, as inside NVIDIA's
    image. An image that was named asks for a container.

    Raises:
        EnvironmentUnfit: a container is needed and no engine answers.
        InvalidInput: what was asked for does not go together.
    """
    engine: EngineName | Literal[""] = ""
    if wish.engine == "docker" or wish.engine == "podman":  # noqa: PLR1714 - mypy narrows by this
        engine = wish.engine
    elif wish.engine == "auto" and _needs_container(runtime, plan, wish):
        engine = find(None).name
    if not engine:
        _refuse_container_options(wish)
    return Place(
        port=port,
        engine=engine,
        image=(wish.image or manifest.image) if engine else "",
        is_host_network=wish.is_host_network,
        secret_names=wish.secret_names,
    )


def _needs_container(runtime: Runtime, plan: Plan, wish: PlaceWish) -> bool:
    if not runtime.image(plan):
        return False
    return bool(wish.image) or wish.is_host_network or not runtime.is_installed()


def _refuse_container_options(wish: PlaceWish) -> None:
    if not wish.image and not wish.is_host_network:
        return
    raise InvalidInput(
        f"{'--image' if wish.image else '--host-network'} is for servers in containers",
        evidence="this one runs as a process",
        next_step="Leave it out, or name an engine: --engine docker",
    )
