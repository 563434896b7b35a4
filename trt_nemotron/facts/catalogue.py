"""The catalogue: targets, models and runtime releases by name, read from `engine_configs/`.

Adding one is adding a file; no code lists them.
"""

import difflib
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from trt_nemotron.document import Document, read_document
from trt_nemotron.errors import InvalidInput
from trt_nemotron.facts.inheritance import inherit
from trt_nemotron.facts.location import engine_configs
from trt_nemotron.facts.model import ModelFacts
from trt_nemotron.facts.release import RuntimeRelease
from trt_nemotron.facts.target import Target

DocumentT = TypeVar("DocumentT", bound=Document)


def target_names() -> tuple[str, ...]:
    """Every target, sorted."""
    return _names(engine_configs() / "targets")


def load_target(name: str) -> Target:
    """The facts of the target called `name`.

    Raises:
        InvalidInput: no such target (the nearest and all known are named), or a damaged file.
    """
    return _load(engine_configs() / "targets", name, Target, noun="target")


def model_names() -> tuple[str, ...]:
    """Every model, sorted."""
    return _names(engine_configs() / "models")


def load_model(name: str) -> ModelFacts:
    """The facts of the model called `name`.

    Raises:
        InvalidInput: no such model (the nearest and all known are named), or a damaged file.
    """
    return _load(engine_configs() / "models", name, ModelFacts, noun="model")


def release_names(runtime: str) -> tuple[str, ...]:
    """Every release known of `runtime`, oldest first; empty when the runtime is unknown."""
    names = _names(engine_configs() / "runtimes" / runtime)
    return tuple(sorted(names, key=_version_key))


def load_release(runtime: str, release: str) -> RuntimeRelease:
    """What `runtime` accepts and breaks on at `release`.

    Raises:
        InvalidInput: no such runtime or release (the nearest and all known are named), or a
            damaged file.
    """
    folder = engine_configs() / "runtimes"
    runtimes = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir()))
    if runtime not in runtimes:
        raise _unknown("runtime", runtime, runtimes)
    return _complete(folder / runtime, release, runtime)


def newest_release(runtime: str) -> RuntimeRelease:
    """The newest release known of `runtime`.

    Raises:
        InvalidInput: none is known, or a damaged file.
    """
    names = release_names(runtime)
    return load_release(runtime, names[-1] if names else "")


def _complete(folder: Path, release: str, runtime: str) -> RuntimeRelease:
    """The release joined with those it extends, however many."""
    chain = [_load(folder, release, RuntimeRelease, noun=f"{runtime} release")]
    while chain[-1].extends:
        if chain[-1].extends in {it.release for it in chain}:
            raise InvalidInput(
                f"{runtime} release {release} extends itself",
                evidence=" -> ".join([*(it.release for it in chain), chain[-1].extends]),
                next_step="Correct `extends` in its file.",
            )
        chain.append(_load(folder, chain[-1].extends, RuntimeRelease, noun=f"{runtime} release"))
    complete = chain.pop()
    while chain:
        complete = inherit(chain.pop(), complete)
    return complete


def _names(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in folder.glob("*.yaml")))


def _load(folder: Path, name: str, kind: type[DocumentT], *, noun: str) -> DocumentT:
    known = _names(folder)
    if name not in known:
        raise _unknown(noun, name, known)
    path = folder / f"{name}.yaml"
    status = path.stat()
    document: DocumentT = _read(path, kind, status.st_mtime_ns, status.st_size)
    return document


@functools.lru_cache(maxsize=64)
def _read(path: Path, kind: type[DocumentT], mtime_ns: int, size_bytes: int) -> DocumentT:
    """Read once in a process, as long as the file stays as it is: parsing it costs milliseconds."""
    return read_document(path, kind)


def _unknown(noun: str, name: str, known: Sequence[str]) -> InvalidInput:
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"Did you mean '{nearest[0]}'? " if nearest else ""
    return InvalidInput(
        f"there is no {noun} called '{name}'",
        evidence=f"known: {', '.join(known) or 'none'}",
        next_step=f"{hint}Choose one of: {', '.join(known)}." if known else "",
    )


def _version_key(name: str) -> tuple[tuple[int, int | str], ...]:
    """`1.3.0rc9` before `1.3.0rc14`: digits compare as numbers, the rest as text."""
    import re

    parts = re.findall(r"\d+|[^\d.]+", name)
    return tuple((1, int(part)) if part.isdigit() else (0, part) for part in parts)
