"""Looking into a container from outside: its first process."""

from contextlib import suppress

from trt_nemotron.deploy.runtimes.protocol import EngineName
from trt_nemotron.deploy.serving.container.engine import Runner
from trt_nemotron.errors import CommandFailed

_TIMEOUT_S = 10.0


def container_pid(engine: EngineName, name: str, runner: Runner) -> int:
    """The process id, on this machine, of a container's first process; 0 when there is none."""
    with suppress(CommandFailed, ValueError):
        said = runner(
            [engine, "container", "inspect", "--format", "{{.State.Pid}}", name],
            timeout_s=_TIMEOUT_S,
        )
        return int(said.stdout.strip())
    return 0
