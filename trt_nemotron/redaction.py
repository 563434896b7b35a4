"""What other programs are not told and nobody is shown: secrets, and variables of MPI launchers."""

import os
import re
from collections.abc import Collection, Mapping

MPI_VARIABLE = re.compile(r"^(OMPI|PMIX|PMI|PRTE|PRRTE|MPI|MPIR|HYDRA|I_MPI|SLURM|SRUN)_")
"""Variables by which an MPI launcher above us would make a server think it is one of its ranks."""

SECRET_VARIABLE = re.compile(r"TOKEN|KEY|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)
"""Names of variables that are taken for secrets."""

_SECRET_SHAPES = re.compile(
    r"(?P<bearer>\bBearer\s+)[^\s'\"]+"
    r"|(?P<user>://[^/\s:@]+:)[^/\s@]+(?=@)"
    r"|\b(?:hf_|nvapi-|sk-|ghp_)[A-Za-z0-9_-]{8,}"
)
_SHORTEST_SECRET = 6
_HIDDEN = "***"


def scrubbed_environment(
    extra: Mapping[str, str] | None = None,
    *,
    named: Collection[str] = (),
    inherited: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Our environment without MPI's variables and without anything that looks like a secret.

    Args:
        extra: variables to add or to replace.
        named: variables handed on all the same, such as `HF_TOKEN`.
        inherited: taken instead of `os.environ`.
    """
    source = os.environ if inherited is None else inherited
    kept = {
        name: value
        for name, value in source.items()
        if name in named or not (MPI_VARIABLE.match(name) or SECRET_VARIABLE.search(name))
    }
    return {**kept, **(extra or {})}


def redact(text: str, environment: Mapping[str, str] | None = None) -> str:
    """`text` without values of variables named like secrets, and without well-known tokens."""
    known = {**os.environ, **(environment or {})}
    values = {
        value
        for name, value in known.items()
        if SECRET_VARIABLE.search(name) and len(value) >= _SHORTEST_SECRET
    }
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, _HIDDEN)
    return _SECRET_SHAPES.sub(
        lambda found: f"{found['bearer'] or found['user'] or ''}{_HIDDEN}", text
    )


def redacted_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` fit to be shown: secrets by their name only."""
    return {
        name: _HIDDEN if SECRET_VARIABLE.search(name) else redact(value)
        for name, value in environment.items()
    }
