"""The container engine: docker or podman, whichever this machine has and answers."""

import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from trt_nemotron.command import Completed, run
from trt_nemotron.deploy.runtimes.protocol import EngineName
from trt_nemotron.errors import CommandFailed, EnvironmentUnfit

ENGINES: tuple[EngineName, ...] = ("docker", "podman")
"""In the order in which they are tried: NVIDIA's boards come with docker."""

_PROBE_TIMEOUT_S = 15.0
_PROBES: Mapping[EngineName, tuple[str, ...]] = {
    "docker": ("version", "--format", "{{.Server.Version}}"),
    "podman": ("version", "--format", "{{.Version}}"),
}


class Runner(Protocol):
    """Runs a program to its end; see `trt_nemotron.command.run`."""

    def __call__(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        expected: Collection[int] = (0,),
        listener: Callable[[str], None] | None = None,
    ) -> Completed:
        """Run `argv`."""


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that answered.

    Attributes:
        version: of its server, as it says.
    """

    name: EngineName
    version: str
    runner: Runner = run

    def ask(
        self,
        *arguments: str,
        timeout_s: float = 60.0,
        expected: Collection[int] = (0,),
        listener: Callable[[str], None] | None = None,
    ) -> Completed:
        """Run one of its commands.

        Raises:
            CommandFailed: it ended badly.
        """
        argv = [self.name, *arguments]
        return self.runner(argv, timeout_s=timeout_s, expected=expected, listener=listener)


def find_engine(
    wanted: EngineName | None = None,
    *,
    runner: Runner = run,
    which: Callable[[str], str | None] = shutil.which,
) -> Engine:
    """The engine called `wanted`, or the first that is installed and answers.

    Raises:
        EnvironmentUnfit: there is none; the evidence says what each of them answered.
    """
    answers = []
    for name in ENGINES if wanted is None else (wanted,):
        if which(name) is None:
            answers.append(f"{name}: not on PATH")
            continue
        try:
            said = runner([name, *_PROBES[name]], timeout_s=_PROBE_TIMEOUT_S)
        except CommandFailed as fault:
            answers.append(f"{name}: {fault.message}\n{fault.evidence}")
            continue
        return Engine(name, said.stdout.strip(), runner)
    raise EnvironmentUnfit(
        f"{wanted or 'no container engine'} {'does not answer' if wanted else 'answers here'}",
        evidence="\n".join(answers),
        next_step="Install docker or podman, start its service, and see that this user may use it"
        " (`docker info`); or run this inside the image with --engine process.",
    )
