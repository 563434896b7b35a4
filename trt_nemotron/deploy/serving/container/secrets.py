"""Secrets for a container: a file that only its owner can read, and that is gone once it was read.

On an argument list they would stand in every list of processes; in an environment of our own they
would reach the engine's client only.
"""

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from trt_nemotron.errors import InvalidInput


def write_secrets(
    path: Path, names: Collection[str], environment: Mapping[str, str] | None = None
) -> None:
    """Write the variables called `names` into the new file `path`, one a line, with mode 0600.

    Args:
        path: must not exist; its folder is private to this user.
        names: variables to hand on.
        environment: where their values are; without it our own.

    Raises:
        InvalidInput: a variable is not set, or its value has a line break.
        OSError: as the system says.
    """
    lines = _lines(names, os.environ if environment is None else environment)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def check_secrets(names: Collection[str], environment: Mapping[str, str] | None = None) -> None:
    """See that every secret is there and can be handed on.

    Raises:
        InvalidInput: a variable is not set, or its value has a line break.
    """
    _lines(names, os.environ if environment is None else environment)


def _lines(names: Collection[str], environment: Mapping[str, str]) -> list[str]:
    lines = []
    for name in sorted(set(names)):
        value = environment.get(name)
        if not value:
            raise InvalidInput(
                f"the variable {name} is not set",
                evidence="it was named as a secret for the server",
                next_step=f"Set it, for example: read -rs {name} && export {name}",
            )
        if "\n" in value or "\r" in value:
            raise InvalidInput(
                f"the value of {name} has a line break",
                evidence="container engines read one variable a line",
                next_step="Hand on a secret of one line.",
            )
        lines.append(f"{name}={value}")
    return lines
