"""Podman on this kind of machine: the options that it needs, and a shim that adds them.

The shim stands first on PATH under the name `podman` where the product is to start containers. It
adds what the machine needs and takes out what the machine cannot give, each only after it has seen
that it was asked for. Everything else reaches the real engine as it was said.
"""

from __future__ import annotations

import os
import resource
import shutil
import sys
from pathlib import Path

GPU_REQUEST = ("--device", "nvidia.com/gpu=all")
_WANTED_LIMITS = {"memlock": resource.RLIMIT_MEMLOCK, "stack": resource.RLIMIT_STACK}
_MOST_FILES = 1024
_MOST_PROCESSES = 1000


def global_options() -> list[str]:
    """Options before the command: without systemd, and with the old control groups, crun fails."""
    options = []
    if not Path("/sys/fs/cgroup/cgroup.controllers").exists() and shutil.which("runc"):
        options += ["--runtime", "runc"]
    if not Path("/run/systemd/system").exists():
        options += ["--cgroup-manager", "cgroupfs"]
    return options


def limit_options() -> list[str]:
    """Limits below the engine's defaults, where the machine does not let them be raised."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY or most >= 1 << 20:
        return []
    return [
        "--ulimit", f"nofile={_MOST_FILES}:{_MOST_FILES}",
        "--ulimit", f"nproc={_MOST_PROCESSES}:{_MOST_PROCESSES}",
    ]  # fmt: skip


def shimmed(words: list[str], mark: str = "") -> list[str]:
    """What the real engine is told for `words`; a container gets the label `mark` besides.

    Raises:
        SystemExit: a container is started without asking for a GPU.
    """
    if not words or words[0] != "run":
        return [*global_options(), *words]
    words = _without(words, GPU_REQUEST)
    for name, number in _WANTED_LIMITS.items():
        if not _can_raise(number):
            words = _without(words, ("--ulimit", f"{name}={_said_limit(words, name)}"))
    marked = ["--label", mark] if mark else []
    return [*global_options(), "run", *limit_options(), *marked, *words[1:]]


def write_shim(folder: Path, mark: str = "") -> Path:
    """Write the shim into `folder`; what it starts has the label `mark`, if one is given."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "podman"
    program.write_text(
        f"#!{sys.executable}\n"
        "# A shim before podman, made by the tests: see tests/containers/podman_here.py.\n"
        "import sys\n\n"
        f"sys.path.insert(0, {str(Path(__file__).resolve().parents[2])!r})\n"
        "from tests.containers.podman_here import run_shim\n\n"
        f"run_shim({shutil.which('podman')!r}, sys.argv[1:], {mark!r})\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
    return program


def run_shim(podman: str, words: list[str], mark: str) -> None:
    """Become the real engine."""
    os.execv(podman, [podman, *shimmed(words, mark)])  # noqa: S606 - no shell is wanted


def _without(words: list[str], pair: tuple[str, str]) -> list[str]:
    """`words` without the one place where `pair` stands."""
    places = [at for at in range(len(words) - 1) if tuple(words[at : at + 2]) == pair]
    if len(places) != 1:
        sys.exit(f"podman shim: {' '.join(pair)} stands {len(places)} times in: {words}")
    return [*words[: places[0]], *words[places[0] + 2 :]]


def _said_limit(words: list[str], name: str) -> str:
    said = [word.partition("=")[2] for word in words if word.startswith(f"{name}=")]
    return said[0] if said else "?"


def _can_raise(number: int) -> bool:
    _, most = resource.getrlimit(number)
    return most == resource.RLIM_INFINITY
