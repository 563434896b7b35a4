"""Options of the commands that start a server: as a process or in which container."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

ResultT = TypeVar("ResultT")


def refuse_blank(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """A name that is nothing but spaces is a slip of the shell, and no name of an image."""
    if value and not value.strip():
        raise click.BadParameter("it is blank: name an image, or leave it out.", ctx, param)
    return value


_OPTIONS = (
    click.option(
        "--engine",
        type=click.Choice(["auto", "process", "docker", "podman"]),
        default="auto",
        show_default=True,
        help="What runs the server: a process where its program is installed, else a container.",
    ),
    click.option(
        "--image",
        default="",
        metavar="REF",
        callback=refuse_blank,
        help="Container image.  [default: the release's]",
    ),
    click.option(
        "--pull",
        type=click.Choice(["missing", "always", "never"]),
        default="missing",
        show_default=True,
        help="When to pull the image.",
    ),
    click.option(
        "--host-network",
        is_flag=True,
        help="Run the container on this machine's network instead of publishing one port.",
    ),
    click.option(
        "--secret",
        "secret_names",
        multiple=True,
        metavar="NAME",
        help="Hand the environment variable NAME to the server; its value is never shown.",
    ),
)
_FIELDS = {
    "engine": "engine",
    "image": "image",
    "pull": "pull",
    "host_network": "is_host_network",
    "secret_names": "secret_names",
}
"""Parameter -> field of `PlaceWish`."""


def place_options(function: Callable[..., ResultT]) -> Callable[..., ResultT]:
    """Add the shared options to a command; it then takes `wanted_place`, a `PlaceWish`."""

    @functools.wraps(function)
    def with_place(**parameters: Any) -> ResultT:
        from trt_nemotron.deploy.serving.placing import PlaceWish

        said = {field: parameters.pop(name) for name, field in _FIELDS.items()}
        return function(wanted_place=PlaceWish(**said), **parameters)

    command: Callable[..., ResultT] = with_place
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
