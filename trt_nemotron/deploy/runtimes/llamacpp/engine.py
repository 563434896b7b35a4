"""Which llama.cpp there is on this machine: the wheel, or a `llama-server` program."""

import importlib.util
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trt_nemotron.deploy.runtimes.llamacpp.llama_server import PROGRAM, llama_server_argv
from trt_nemotron.deploy.runtimes.llamacpp.settings import ServerSettings
from trt_nemotron.errors import EnvironmentUnfit

PROGRAM_VARIABLE = "TRT_NEMOTRON_LLAMA_SERVER"
"""Environment variable that names a `llama-server` to use in place of the wheel."""

_LAUNCHER = "trt_nemotron.deploy.runtimes.llamacpp.launcher"


@dataclass(frozen=True, slots=True)
class Engine:
    """How the server is started.

    Attributes:
        program: a `llama-server`; empty for the wheel in this interpreter.
    """

    program: str = ""

    def argv(self, settings: ServerSettings) -> tuple[str, ...]:
        """The command line of a server with these settings."""
        if self.program:
            return llama_server_argv(self.program, settings)
        return (sys.executable, "-m", _LAUNCHER, "--settings", _one_line(settings))


def find_engine(
    environment: Mapping[str, str] | None = None, *, has_wheel: bool | None = None
) -> Engine:
    """The program that `TRT_NEMOTRON_LLAMA_SERVER` names, else the wheel, else one on PATH.

    Raises:
        EnvironmentUnfit: there is none.
    """
    variables = os.environ if environment is None else environment
    if named := variables.get(PROGRAM_VARIABLE):
        return Engine(_existing(named))
    if importlib.util.find_spec("xllamacpp") if has_wheel is None else has_wheel:
        return Engine()
    if found := shutil.which(PROGRAM, path=variables.get("PATH", os.defpath)):
        return Engine(found)
    raise EnvironmentUnfit(
        "no llama.cpp server is installed",
        evidence=f"neither the package xllamacpp nor a program {PROGRAM} on PATH",
        next_step="Install it: pip install 'trt-nemotron[llamacpp]'",
    )


def _existing(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise EnvironmentUnfit(
            f"{PROGRAM_VARIABLE} names a program that cannot be run",
            evidence=program,
            next_step=f"Give the path of a {PROGRAM}, or unset the variable to use the wheel.",
        )
    return str(Path(found).absolute())


def _one_line(settings: ServerSettings) -> str:
    import msgspec

    return msgspec.json.encode(settings).decode()
