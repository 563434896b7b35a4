"""Runtimes that are a package on this machine: a process is all they can be."""

from trt_nemotron.deploy.runtimes.protocol import Place
from trt_nemotron.errors import InvalidInput


def refuse_container(place: Place, runtime: str) -> None:
    """Refuse a container for a runtime that has no image.

    Raises:
        InvalidInput: one was asked for.
    """
    if place.engine or place.image:
        raise InvalidInput(
            f"the runtime {runtime} has no container image",
            evidence=f"--engine {place.engine}" if place.engine else f"--image {place.image}",
            next_step="Leave it out: its server runs as a process.",
        )
