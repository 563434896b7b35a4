"""Step two, on the device: the engine, which is believed only when the file itself convinces.

A builder that ran out of memory logged that engine generation had completed and wrote no file
(https://github.com/NVIDIA/TensorRT-Edge-LLM/issues/30), so exit codes and logs count for nothing.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trt_nemotron import command
from trt_nemotron.deploy.runtimes.edgellm.environment import Environment
from trt_nemotron.deploy.runtimes.edgellm.predicted import compare_config
from trt_nemotron.deploy.runtimes.edgellm.sizes import EngineSizes
from trt_nemotron.errors import CheckFailed, CommandFailed
from trt_nemotron.progress import Progress

ENGINE_NAME = "llm.engine"
CONFIG_NAME = "config.json"
LEAST_ENGINE_BYTES = 256 * 1024
"""Kernels and both profiles of the smallest network take more than this, even where all weights
stay outside the engine, as they do by default."""

_PROFILES = 2
_INSIDE = Path(__file__).with_name("inside")
_BUILD_TIMEOUT_S = 4 * 3600.0
_LOAD_TIMEOUT_S = 900.0


@dataclass(frozen=True, slots=True)
class DeviceTools:
    """Beginnings of command lines: what is run on the device, each with its arguments to come.

    Attributes:
        preflight: tells whether this is a device, and which payload it takes.
        builder: tensorrt-edgellm-build.
        loader: tells whether an engine can be loaded.
    """

    preflight: tuple[str, ...]
    builder: tuple[str, ...]
    loader: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether this machine is the device.

    Attributes:
        payload: that it takes; empty when it is not one.
        fault: why not.
        tensorrt: version that is there.
    """

    payload: str = ""
    fault: str = ""
    tensorrt: str = ""


def device_tools(environment: Environment) -> DeviceTools:
    """The programs of an environment."""
    python = str(environment.python)
    return DeviceTools(
        preflight=(python, str(_INSIDE / "preflight.py")),
        builder=(python, "-m", "experimental.builder.cli"),
        loader=(python, str(_INSIDE / "load_engine.py")),
    )


def standing(tools: DeviceTools) -> Standing:
    """Ask whether this machine is a device that an engine can be built on."""
    try:
        answer = command.run(tools.preflight, timeout_s=_LOAD_TIMEOUT_S)
    except CommandFailed as fault:
        return Standing(fault=fault.evidence.splitlines()[-1] if fault.evidence else fault.message)
    found = _last_object(answer.stdout)
    return Standing(
        payload=str(found.get("payload", "")),
        fault=str(found.get("fault", "")),
        tensorrt=str(found.get("tensorrt", "")),
    )


def builder_arguments(checkpoint: str, engine: str, sizes: EngineSizes) -> tuple[str, ...]:
    """What tensorrt-edgellm-build is told; the server tells it the same on a cache miss."""
    return (
        "--model-dir", checkpoint, "--engine-dir", engine, "--components", "all",
        "--max-input-len", str(sizes.input_tokens),
        "--max-kv-cache-capacity", str(sizes.capacity),
        "--max-batch-size", str(sizes.batch),
    )  # fmt: skip


def build_engine(
    checkpoint: Path,
    folder: Path,
    sizes: EngineSizes,
    expected: dict[str, Any],
    *,
    tools: DeviceTools,
    progress: Progress,
) -> None:
    """Build the engine into `folder`, which holds it only when it has passed every check.

    Raises:
        CheckFailed: no engine, one too small, of another configuration, or one that does not load.
        CommandFailed: the builder failed.
    """
    progress.phase("building the engine on this device")
    part = folder.with_name(f".{folder.name}.building")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        command.run(
            [*tools.builder, *builder_arguments(str(checkpoint), str(part), sizes)],
            timeout_s=_BUILD_TIMEOUT_S,
        )
        progress.phase("checking the engine")
        check_engine(part, expected, tools)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def check_engine(folder: Path, expected: dict[str, Any], tools: DeviceTools) -> None:
    """See that the engine is there, is of a plausible size, is the planned one, and loads.

    Raises:
        CheckFailed: with what is wrong.
    """
    engine = folder / ENGINE_NAME
    if not engine.is_file():
        raise CheckFailed(
            "the builder reported success and wrote no engine",
            evidence=f"there is no {ENGINE_NAME}; there are "
            f"{', '.join(sorted(path.name for path in folder.iterdir())) or 'no files'}",
            next_step="Free memory on the board and build again: this is what running out of it "
            "looks like.",
        )
    size = engine.stat().st_size
    if size < LEAST_ENGINE_BYTES:
        raise CheckFailed(
            "the engine is too small to be one",
            evidence=f"{size:,} bytes, at least {LEAST_ENGINE_BYTES:,} are expected",
            next_step="Free disk space on the board and build again.",
        )
    compare_config(expected, _read_config(folder / CONFIG_NAME))
    _check_loading(engine, tools)


def _read_config(path: Path) -> dict[str, Any]:
    try:
        tree = json.loads(path.read_bytes())
    except (OSError, ValueError) as fault:
        raise CheckFailed(
            "the engine has no configuration that can be read",
            evidence=f"{path.name}: {fault}",
            next_step="Build it again.",
        ) from fault
    return tree if isinstance(tree, dict) else {}


def _check_loading(engine: Path, tools: DeviceTools) -> None:
    try:
        found = _last_object(
            command.run([*tools.loader, str(engine)], timeout_s=_LOAD_TIMEOUT_S).stdout
        )
    except CommandFailed as failure:
        found = {"fault": failure.evidence}
    fault = found.get("fault")
    if fault or found.get("profiles") != _PROFILES:
        raise CheckFailed(
            "the engine does not load",
            evidence=str(fault)
            if fault
            else f"it has {found.get('profiles')} profiles, the "
            f"prefill and the generation profile are {_PROFILES}",
            next_step="Build it again; a file that was cut off looks like this.",
        )


def _last_object(output: str) -> dict[str, Any]:
    """The JSON object on the last line; programs may talk before."""
    lines = output.strip().splitlines()
    try:
        tree = json.loads(lines[-1]) if lines else {}
    except ValueError:
        tree = {}
    return tree if isinstance(tree, dict) else {}
