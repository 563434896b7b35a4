"""Edge-LLM's own Python environment: made once, reused, never mixed with ours.

Its pins (torch 2.13.0, transformers 5.14.1, onnx 1.19.0, numpy 2.2.6) conflict with those of other
tools, so it lives in the user's cache, made from a lock with hashes that lies beside the release's
facts. torch comes last and without a hash: its file differs by index and platform (CPU, CUDA).
On a board it sees the system's packages, for TensorRT's bindings come with JetPack.
"""

import hashlib
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from filelock import FileLock

from trt_nemotron import command
from trt_nemotron.document import Document, read_document, write_document
from trt_nemotron.errors import CommandFailed, EnvironmentUnfit, InvalidInput
from trt_nemotron.facts.location import engine_configs
from trt_nemotron.progress import SILENT, Progress

PYTHON_VARIABLE = "TRT_NEMOTRON_EDGELLM_PYTHON"
"""Environment variable that names an interpreter to use instead of one of our making."""

TORCH = "torch==2.13.0"
PYTHONS = ((3, 12), (3, 11), (3, 10))
"""Versions that a wheel is published for, the best first: JetPack 7 has 3.12."""

_READY_NAME = "ready.json"
_PACKAGES = ("tensorrt-edgellm", "torch", "transformers", "onnx", "numpy")
_ASK = """
import importlib.metadata, importlib.util, sys
for name in sys.argv[1:]:
    try:
        print(name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        print(name, "-")
"""
_HAS_TENSORRT = "import importlib.util, sys; sys.exit(importlib.util.find_spec('tensorrt') is None)"
_ASK_TIMEOUT_S = 60.0
_INSTALL_TIMEOUT_S = 3600.0


class Versions(Document, frozen=True, kw_only=True):
    """What is installed in an environment; `packages` maps a name to its version."""

    SCHEMA: ClassVar[str] = "trt-nemotron/edgellm-environment/1"

    packages: dict[str, str]


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment that holds Edge-LLM.

    Attributes:
        python: its interpreter.
        versions: of the packages that decide what an export looks like.
    """

    python: Path
    versions: Mapping[str, str]

    @property
    def fingerprint(self) -> str:
        """The same for environments that export the same."""
        text = "\n".join(f"{name} {version}" for name, version in sorted(self.versions.items()))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def cache_root() -> Path:
    """Where environments and exported graphs are kept."""
    from platformdirs import user_cache_path

    folder: Path = user_cache_path("trt-nemotron") / "edgellm"
    return folder


def lock_path(release: str) -> Path:
    """The lock of a release's environment.

    Raises:
        InvalidInput: there is none for the release.
    """
    path = engine_configs() / "runtimes" / "edgellm" / f"{release}.lock.txt"
    if not path.is_file():
        raise InvalidInput(
            f"Edge-LLM {release} cannot be installed by this version",
            evidence=f"there is no {path.name}: its wheel was not read",
            next_step=f"Leave --release out, or name an interpreter that has it in "
            f"{PYTHON_VARIABLE}.",
        )
    return path


def is_lockable(release: str) -> bool:
    """Whether there is a lock for the release."""
    return (engine_configs() / "runtimes" / "edgellm" / f"{release}.lock.txt").is_file()


def ensure_environment(
    release: str,
    progress: Progress = SILENT,
    *,
    root: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> Environment:
    """The environment of a release, made if it is not there yet.

    Whoever comes second waits. What a killed maker left has no `ready.json` and is made anew.

    Args:
        release: of Edge-LLM.
        progress: told what is installed.
        root: in place of the user's cache.
        variables: in place of our own environment, to look for an interpreter's name.

    Raises:
        EnvironmentUnfit: no fitting Python, or the packages cannot be installed.
        InvalidInput: a release without a lock.
    """
    named = (os.environ if variables is None else variables).get(PYTHON_VARIABLE)
    if named:
        return _checked(Path(named), release)
    lock = lock_path(release)
    base = find_python()
    sees_system = _sees_tensorrt(base)
    folder = (root or cache_root()) / f"env-{release}-{_key(lock, base, sees_system=sees_system)}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        ready = _read_ready(folder)
        if ready is None:
            _make(folder, base, lock, progress, sees_system=sees_system)
            ready = Versions(packages=_ask(_python_of(folder)))
            write_document(folder / _READY_NAME, ready)
    return Environment(_python_of(folder), ready.packages)


def is_made(release: str) -> bool:
    """Whether the environment of a release is there, so that nothing has to be installed for it."""
    if os.environ.get(PYTHON_VARIABLE):
        return True
    return any(cache_root().glob(f"env-{release}-*/{_READY_NAME}"))


def find_python() -> str:
    """An interpreter of a version that a wheel is published for: our own, or one on PATH.

    Raises:
        EnvironmentUnfit: there is none.
    """
    if sys.version_info[:2] in PYTHONS:
        return os.path.realpath(sys.executable)  # one environment for all of an interpreter's own
    for major, minor in PYTHONS:
        found = shutil.which(f"python{major}.{minor}")
        if found:
            return os.path.realpath(found)
    raise EnvironmentUnfit(
        "Edge-LLM needs Python 3.10, 3.11 or 3.12",
        evidence=f"this is {sys.version_info[0]}.{sys.version_info[1]}, and none of those is on "
        "PATH",
        next_step=f"Install one, or name it in {PYTHON_VARIABLE}.",
    )


def _make(folder: Path, base: str, lock: Path, progress: Progress, *, sees_system: bool) -> None:
    progress.phase("making Edge-LLM's own environment, once: about 1 GB")
    shutil.rmtree(folder, ignore_errors=True)
    options = ("--system-site-packages",) if sees_system else ()
    command.run([base, "-m", "venv", *options, str(folder)], timeout_s=_INSTALL_TIMEOUT_S)
    pip = (str(_python_of(folder)), "-m", "pip", "--disable-pip-version-check", "install", "-q")
    try:
        for words in (("--require-hashes", "--no-deps", "-r", str(lock)), (TORCH,)):
            command.run([*pip, *words], timeout_s=_INSTALL_TIMEOUT_S)
    except CommandFailed as fault:
        raise EnvironmentUnfit(
            "Edge-LLM's environment could not be made",
            evidence=fault.evidence,
            next_step="Check the network and pip's configuration; or name an interpreter that has "
            f"tensorrt-edgellm[export,server] in {PYTHON_VARIABLE}.",
        ) from fault


def _checked(python: Path, release: str) -> Environment:
    try:
        versions = _ask(python)
    except CommandFailed as fault:
        raise EnvironmentUnfit(
            f"the interpreter for Edge-LLM does not run: {python}",
            evidence=fault.evidence,
            next_step=f"Correct {PYTHON_VARIABLE}, or unset it.",
        ) from fault
    missing = [name for name in _PACKAGES if name not in versions]
    found = versions.get("tensorrt-edgellm", "not there")
    if missing or found != release:
        raise EnvironmentUnfit(
            f"the interpreter for Edge-LLM does not hold release {release}",
            evidence=f"{python}: tensorrt-edgellm is {found}; missing: {', '.join(missing) or '-'}",
            next_step=f"Install tensorrt-edgellm[export,server]=={release} there, or unset "
            f"{PYTHON_VARIABLE}.",
        )
    return Environment(python, versions)


def _ask(python: Path) -> dict[str, str]:
    answer = command.run([str(python), "-c", _ASK, *_PACKAGES], timeout_s=_ASK_TIMEOUT_S)
    pairs = (line.split() for line in answer.stdout.splitlines())
    return {name: version for name, version in pairs if version != "-"}


def _read_ready(folder: Path) -> Versions | None:
    try:
        return read_document(folder / _READY_NAME, Versions)
    except InvalidInput:
        return None


def _sees_tensorrt(base: str) -> bool:
    found = command.run([base, "-c", _HAS_TENSORRT], timeout_s=_ASK_TIMEOUT_S, expected=(0, 1))
    return found.returncode == 0


def _key(lock: Path, base: str, *, sees_system: bool) -> str:
    text = f"{base} {TORCH} {sees_system}\n".encode() + lock.read_bytes()
    return hashlib.sha256(text).hexdigest()[:12]


def _python_of(folder: Path) -> Path:
    return folder / "bin" / "python"
