"""What `build` does for Edge-LLM: step one anywhere, step two where the device is."""

import json
from pathlib import Path
from typing import Any

from trt_nemotron.deploy.checkpoint.known_model import require_files
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.edgellm.device import (
    DeviceTools,
    build_engine,
    device_tools,
    standing,
)
from trt_nemotron.deploy.runtimes.edgellm.environment import (
    Environment,
    cache_root,
    ensure_environment,
)
from trt_nemotron.deploy.runtimes.edgellm.export import Export
from trt_nemotron.deploy.runtimes.edgellm.exporting import export_checked
from trt_nemotron.deploy.runtimes.edgellm.graph import FP32_TOLERANCE
from trt_nemotron.deploy.runtimes.edgellm.predicted import predict_config
from trt_nemotron.deploy.runtimes.edgellm.quantized import calibration_of
from trt_nemotron.deploy.runtimes.edgellm.sizes import EngineSizes
from trt_nemotron.deploy.runtimes.edgellm.staging import stage_checkpoint
from trt_nemotron.deploy.runtimes.edgellm.values import (
    CHECKPOINT_FOLDER,
    ENGINE_FOLDER,
    EXPECTED_NAME,
    GRAPH_NAME,
    STATE_NAME,
    BuildState,
    Calibration,
    CheckedGraph,
    ExportRecord,
)
from trt_nemotron.document import write_atomically, write_document
from trt_nemotron.facts.catalogue import load_release
from trt_nemotron.progress import Progress


def build(
    plan: Plan,
    checkpoint: Checkpoint,
    model_folder: Path,
    progress: Progress,
    *,
    root: Path | None = None,
    environment: Environment | None = None,
    tools: DeviceTools | None = None,
) -> str:
    """Export and check; then, on the device, build the engine; else say that this is left.

    Args:
        plan: what to build.
        checkpoint: the weights.
        model_folder: the bundle's, empty.
        progress: told phases and memory.
        root: of the cache, in place of the user's.
        environment: in place of the release's own.
        tools: of the device, in place of the environment's.

    Returns:
        The checkpoint's folder, which the server is given.

    Raises:
        CheckFailed: the graph or the engine is not what it must be.
        EnvironmentUnfit: Edge-LLM's environment cannot be made, or a program of it failed.
        CheckpointUnusable: weights that cannot be built from.
    """
    require_files(checkpoint)
    release = load_release("edgellm", plan.release)
    there = environment or ensure_environment(plan.release, progress)
    staged = model_folder / CHECKPOINT_FOLDER
    staged.mkdir()
    stage_checkpoint(checkpoint, staged, there.python, progress)
    _, record = export_checked(
        Export(checkpoint, staged, plan.precision, release, there),
        progress,
        root=root or cache_root(),
    )
    _tell(record, progress)
    write_document(model_folder / GRAPH_NAME, _kept(record, there, calibration_of(checkpoint)))
    expected = predict_config(staged, engine_sizes(plan), there, progress)
    _write_json(model_folder / EXPECTED_NAME, expected)
    state = _device_step(plan, model_folder, expected, tools or device_tools(there), progress)
    write_document(model_folder / STATE_NAME, state)
    return CHECKPOINT_FOLDER


def engine_sizes(plan: Plan) -> EngineSizes:
    """The sizes that a plan's flags say."""
    return EngineSizes(
        batch=plan.int_choice("--max-batch-size"),
        input_tokens=plan.int_choice("--max-input-len"),
        capacity=plan.int_choice("--max-kv-cache-capacity"),
    )


def _device_step(
    plan: Plan,
    model_folder: Path,
    expected: dict[str, Any],
    tools: DeviceTools,
    progress: Progress,
) -> BuildState:
    progress.phase("looking for the device")
    found = standing(tools)
    if not found.payload:
        progress.note(f"device step pending: {found.fault or 'no device here'}")
        return BuildState(
            state="device step pending",
            next_step=f"On the board run the same `trt-nemotron build --target {plan.target}` "
            "again: it goes on from here.",
        )
    progress.note(f"payload {found.payload}, TensorRT {found.tensorrt}")
    build_engine(
        model_folder / CHECKPOINT_FOLDER,
        model_folder / ENGINE_FOLDER,
        engine_sizes(plan),
        expected,
        tools=tools,
        progress=progress,
    )
    return BuildState(state="built")


def _tell(record: ExportRecord, progress: Progress) -> None:
    for it in record.differences:
        progress.note(
            f"{it.name}: largest difference of a logit {it.max_abs_difference:.1e} on {it.tokens} "
            f"tokens, {it.other_argmax} with another most likely token ({record.layers} layers)"
        )


def _kept(
    record: ExportRecord, environment: Environment, calibration: Calibration | None
) -> CheckedGraph:
    return CheckedGraph(
        release=record.release,
        environment=dict(environment.versions),
        report=record.report,
        tolerance=FP32_TOLERANCE if record.differences else 0.0,
        tokens=record.differences[0].tokens if record.differences else 0,
        layers=record.layers,
        tensors=record.weights.compared,
        calibration=calibration,
    )


def _write_json(path: Path, tree: dict[str, Any]) -> None:
    write_atomically(path, json.dumps(tree, indent=2, sort_keys=True).encode() + b"\n")
    path.chmod(0o644)
