"""What quantizing takes beside Edge-LLM's own environment: ModelOpt, laid over it.

ModelOpt and the packages that it brings (accelerate, peft, datasets) would change how Transformers
behaves where graphs are exported, so they lie in an environment of their own, which sees the other.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from trt_nemotron import command
from trt_nemotron.deploy.runtimes.edgellm.environment import (
    PYTHON_VARIABLE,
    Environment,
    cache_root,
    lock_path,
)
from trt_nemotron.errors import CommandFailed, EnvironmentUnfit, InvalidInput
from trt_nemotron.facts.location import engine_configs
from trt_nemotron.progress import SILENT, Progress

_READY_NAME = "ready"
_INSTALL_TIMEOUT_S = 3600.0
_ASK_TIMEOUT_S = 300.0
_SITE = "import sysconfig; print(sysconfig.get_path('purelib'))"
_ASK = """
import importlib.metadata as m, json, torch
import modelopt.torch.quantization
names = ("nvidia-modelopt", "torch", "transformers", "tensorrt-edgellm")
found = {name: m.version(name) for name in names}
print(json.dumps({"packages": found, "has_gpu": torch.cuda.is_available()}))
"""


@dataclass(frozen=True, slots=True)
class Quantizer:
    """An environment that can quantize.

    Attributes:
        python: its interpreter.
        packages: versions of what decides the numbers.
        has_gpu: whether its torch sees a GPU.
    """

    python: Path
    packages: Mapping[str, str]
    has_gpu: bool


def ensure_quantizer(
    below: Environment, release: str, progress: Progress = SILENT, *, root: Path | None = None
) -> Quantizer:
    """The quantizer of a release, made if it is not there yet; whoever comes second waits.

    Args:
        below: Edge-LLM's environment, which it is laid over.
        release: of Edge-LLM.
        progress: told what is installed.
        root: in place of the user's cache.

    Raises:
        EnvironmentUnfit: the packages cannot be installed, or do not run.
        InvalidInput: a release without a lock.
    """
    if os.environ.get(PYTHON_VARIABLE):
        return _asked(below.python, release)
    lock = quantizer_lock(release)
    key = hashlib.sha256(f"{below.python}\n".encode() + lock.read_bytes()).hexdigest()[:12]
    folder = (root or cache_root()) / f"tools-{release}-{key}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not (folder / _READY_NAME).is_file():
            _make(folder, below, lock, progress)
            (folder / _READY_NAME).touch()
    return _asked(folder / "bin" / "python", release)


def quantizer_lock(release: str) -> Path:
    """The lock of what is laid over a release's environment.

    Raises:
        InvalidInput: there is none for the release.
    """
    path = engine_configs() / "runtimes" / "edgellm" / f"{release}.tools.lock.txt"
    if not path.is_file():
        lock_path(release)
        raise InvalidInput(
            f"the quantizer of Edge-LLM {release} cannot be installed by this version",
            evidence=f"there is no {path.name}",
            next_step="Leave --release out.",
        )
    return path


def _make(folder: Path, below: Environment, lock: Path, progress: Progress) -> None:
    progress.phase("installing the quantizer (ModelOpt), once: about 700 MB")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        site = command.run([str(below.python), "-c", _SITE], timeout_s=60.0).stdout.strip()
        command.run([str(below.python), "-m", "venv", str(folder)], timeout_s=_INSTALL_TIMEOUT_S)
        python = folder / "bin" / "python"
        own = command.run([str(python), "-c", _SITE], timeout_s=60.0).stdout.strip()
        (Path(own) / "below.pth").write_text(f"{site}\n", encoding="utf-8")
        pip = (str(python), "-m", "pip", "--disable-pip-version-check", "install", "-q")
        words = ("--require-hashes", "--no-deps", "-r", str(lock))
        command.run([*pip, *words], timeout_s=_INSTALL_TIMEOUT_S)
    except CommandFailed as fault:
        raise EnvironmentUnfit(
            "the quantizer's environment could not be made",
            evidence=fault.evidence,
            next_step="Check the network and pip's configuration; or name an interpreter that has "
            f"tensorrt-edgellm[tools] in {PYTHON_VARIABLE}.",
        ) from fault


def _asked(python: Path, release: str) -> Quantizer:
    try:
        answer = command.run([str(python), "-c", _ASK], timeout_s=_ASK_TIMEOUT_S)
    except CommandFailed as fault:
        raise EnvironmentUnfit(
            "the quantizer does not run",
            evidence=fault.evidence,
            next_step=f"Install tensorrt-edgellm[tools]=={release} there, or unset "
            f"{PYTHON_VARIABLE}.",
        ) from fault
    found = json.loads(answer.stdout.strip().splitlines()[-1])
    return Quantizer(python, found["packages"], bool(found["has_gpu"]))
