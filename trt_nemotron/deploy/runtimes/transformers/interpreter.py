"""The Python interpreter that has torch and transformers: ours, or one that the user names.

Both weigh gigabytes, so the environment of this tool need not hold them: the server is a process
of its own and can come out of another environment.
"""

import os
import sys
from collections.abc import Mapping

from trt_nemotron import command
from trt_nemotron.errors import CommandFailed, EnvironmentUnfit

PYTHON_VARIABLE = "TRT_NEMOTRON_TRANSFORMERS_PYTHON"
"""Environment variable that names the interpreter to use instead of our own."""

OLDEST = (5, 15, 1)
"""First release that computes a dense NemotronH rightly: 5.12 is wrong beyond one chunk of the
prompt (https://github.com/huggingface/transformers/issues/47246), 5.14 does not load it."""

_PACKAGES = ("torch", "transformers", "fastapi", "uvicorn")
_ASK = """
import importlib.metadata, sys
for name in sys.argv[1:]:
    try:
        print(name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        print(name, "-")
"""
_ASK_TIMEOUT_S = 60.0


def interpreter(environment: Mapping[str, str] | None = None) -> str:
    """Path of the interpreter that runs the server; nothing is checked."""
    variables = os.environ if environment is None else environment
    return variables.get(PYTHON_VARIABLE) or sys.executable


def check_interpreter(python: str) -> None:
    """See that everything the server needs is installed there, without importing it.

    Raises:
        EnvironmentUnfit: the interpreter does not run, or a package is missing or too old.
    """
    try:
        answer = command.run([python, "-c", _ASK, *_PACKAGES], timeout_s=_ASK_TIMEOUT_S)
    except CommandFailed as fault:
        raise EnvironmentUnfit(
            f"the interpreter for the runtime transformers does not run: {python}",
            evidence=fault.evidence,
            next_step=f"Correct {PYTHON_VARIABLE}, or unset it.",
        ) from fault
    versions = dict(line.split() for line in answer.stdout.splitlines())
    missing = [name for name, version in versions.items() if version == "-"]
    if missing:
        raise _unfit(python, f"not installed: {', '.join(missing)}")
    if _version(versions["transformers"]) < OLDEST:
        raise _unfit(python, f"transformers {versions['transformers']} is too old")


def _version(text: str) -> tuple[int, ...]:
    """`5.15.1.dev0` -> (5, 15, 1)."""
    numbers: list[int] = []
    for part in text.split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)


def _unfit(python: str, evidence: str) -> EnvironmentUnfit:
    oldest = ".".join(map(str, OLDEST))
    return EnvironmentUnfit(
        "the runtime transformers is not usable here",
        evidence=f"{python}: {evidence} (needed: torch, transformers[serving] >= {oldest})",
        next_step="Install it: pip install 'trt-nemotron[transformers]'; or name an interpreter "
        f"that has it in {PYTHON_VARIABLE}.",
    )
