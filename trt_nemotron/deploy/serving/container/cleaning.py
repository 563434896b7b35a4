"""Ending containers: only our own, known by their label, and without asking twice."""

from contextlib import suppress

from trt_nemotron.deploy.runtimes.protocol import EngineName
from trt_nemotron.deploy.serving.container.arguments import LABEL
from trt_nemotron.deploy.serving.container.engine import Runner
from trt_nemotron.errors import CommandFailed

_TIMEOUT_S = 30.0
_GONE = (0, 1)


def removal_arguments(engine: EngineName, name: str) -> tuple[str, ...]:
    """Program and arguments that kill and remove a container; no failure when there is none."""
    at_once = ("--time", "0", "--ignore") if engine == "podman" else ()
    return (engine, "rm", "--force", "--volumes", *at_once, name)


def end_containers(engine: EngineName, instance: str, runner: Runner) -> tuple[str, ...]:
    """Kill and remove what is left of an instance; the names that were found.

    An engine that does not answer has nothing we could end.
    """
    found: tuple[str, ...] = ()
    with suppress(CommandFailed):
        said = runner(
            [
                engine, "ps", "--all", "--filter", f"label={LABEL}.instance={instance}",
                "--format", "{{.Names}}",
            ],
            timeout_s=_TIMEOUT_S,
        )  # fmt: skip
        found = tuple(said.stdout.split())
        for name in found:
            runner(removal_arguments(engine, name), timeout_s=_TIMEOUT_S, expected=_GONE)
    return found
