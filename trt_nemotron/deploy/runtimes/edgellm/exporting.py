"""Step one, on any machine: a checkpoint becomes an ONNX graph that is proven before a device is
touched. Kept in the user's cache by content, so that a second build and a resumed one are quick.

    CACHE/onnx/KEY/
      graph/        what tensorrt-edgellm-export wrote (model.onnx, its data, embeddings, tokenizer)
      record.json   what was found in it; last, so that it is there only when all checks passed
"""

import hashlib
import json
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from trt_nemotron.deploy.bundle.hashing import HashMeter, sha256_of_set
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.machine import memory_available_bytes
from trt_nemotron.deploy.runtimes.edgellm.depth import (
    LAYERS_VARIABLE,
    comparing_bytes,
    layers_to_execute,
)
from trt_nemotron.deploy.runtimes.edgellm.environment import Environment
from trt_nemotron.deploy.runtimes.edgellm.graph import (
    judge_graph,
    judge_numbers,
    judge_weights,
)
from trt_nemotron.deploy.runtimes.edgellm.running import run_inside
from trt_nemotron.deploy.runtimes.edgellm.values import (
    Difference,
    ExportRecord,
    GraphReport,
    WeightReport,
)
from trt_nemotron.document import convert, read_document, write_document
from trt_nemotron.errors import CheckFailed, CommandFailed, InvalidInput
from trt_nemotron.facts.release import RuntimeRelease
from trt_nemotron.progress import Progress

PROMPTS: tuple[dict[str, Any], ...] = (
    {"messages": [{"role": "user", "content": "What is the capital of France?"}],
     "template": {"enable_thinking": False}},
    {"messages": [{"role": "user", "content": "What is 17 + 25?"}],
     "template": {"enable_thinking": True}},
    {"messages": [{"role": "system", "content": "Be brief."},
                  {"role": "user", "content": "Name three colours."}],
     "template": {"enable_thinking": False}},
)  # fmt: skip
"""What the graph and Transformers are both asked. Of different lengths, so that the batch of all is
ragged."""

GRAPH_FOLDER = "graph"
RECORD_NAME = "record.json"
EXPORT_FUNCTION = "tensorrt_edgellm.scripts.export:main"

_SMALL_PARAMETERS = 50_000_000
"""Up to here prompts are continued, and the graph is also executed as exported, in 16 bits, which
NumPy computes slowly."""

_CONTINUATION = 12
_TIMEOUT_S = 4 * 3600.0
_CHECKS = "3"
"""Raised when the checks change, so that what older ones let pass is looked at again."""


@dataclass(frozen=True, slots=True)
class Export:
    """What is exported.

    Attributes:
        checkpoint: what was staged.
        staged: the checkpoint as Edge-LLM reads it.
        precision: that the graph must have.
        release: for how much memory the exporter takes.
        environment: that exports and checks.
        memory_bytes: that may be taken to compare numbers; by default what is available now.
        depth: layers to execute, if memory suffices.
    """

    checkpoint: Checkpoint
    staged: Path
    precision: str
    release: RuntimeRelease
    environment: Environment
    memory_bytes: int = field(default_factory=memory_available_bytes)
    depth: int = -1

    def __post_init__(self) -> None:
        if self.depth < 0:
            object.__setattr__(self, "depth", layers_to_execute(self.checkpoint))

    @property
    def comparing_bytes(self) -> int:
        """Memory that Transformers takes for the reference."""
        return comparing_bytes(self.checkpoint.shape, self.depth)

    @property
    def layers(self) -> int:
        """Layers of the graph that are executed and held against Transformers, here; 0 for none.

        A quantized checkpoint is computed by Transformers otherwise than by its kernels, so that a
        difference there would say nothing.
        """
        is_comparable = self.precision == "fp16" and self.comparing_bytes <= self.memory_bytes
        return self.depth if is_comparable else 0


def export_checked(export: Export, progress: Progress, *, root: Path) -> tuple[Path, ExportRecord]:
    """The folder of the checked graph and what was found in it.

    Args:
        export: what is exported.
        progress: told phases and memory.
        root: of the cache.

    Raises:
        CheckFailed: the graph is not what it must be; each reason has its own message.
        CommandFailed: the exporter or a check could not be run.
    """
    folder = root / "onnx" / _key(export, progress)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        known = read_record(folder)
        if known is not None and known.layers >= export.layers:
            progress.note(f"exported and checked before: {folder / GRAPH_FOLDER}")
            return folder / GRAPH_FOLDER, known
        peak, seconds = _export(export, folder, progress)
        try:
            report = inspect(folder / GRAPH_FOLDER, export.environment, progress)
            judge_graph(report, export.checkpoint, export.precision)
            weights = _compare_weights(export, folder, progress)
            judge_weights(weights)
            differences = _compare(export, folder, progress)
            judge_numbers(differences)
        except CheckFailed:
            shutil.rmtree(folder / GRAPH_FOLDER)
            raise
        record = ExportRecord(
            release=export.release.release,
            report=report,
            weights=weights,
            differences=differences,
            layers=export.layers,
            files=_files(folder / GRAPH_FOLDER),
            peak_bytes=peak,
            seconds=seconds,
        )
        write_document(folder / RECORD_NAME, record)
    return folder / GRAPH_FOLDER, record


def read_record(folder: Path) -> ExportRecord | None:
    """The record of a complete export in `folder`; nothing when there is none or a file changed.

    A graph that was altered behind its record is removed with it.
    """
    try:
        record = read_document(folder / RECORD_NAME, ExportRecord)
    except InvalidInput:
        return None
    if _files(folder / GRAPH_FOLDER) == record.files:
        return record
    (folder / RECORD_NAME).unlink()
    shutil.rmtree(folder / GRAPH_FOLDER, ignore_errors=True)
    return None


def _export(export: Export, folder: Path, progress: Progress) -> tuple[int, float]:
    """Export into a folder beside, renamed when the exporter has ended.

    A graph that is there already was exported whole, and whoever was to check it was killed.
    """
    if (folder / GRAPH_FOLDER).is_dir():
        progress.note("going on with the graph that was exported before")
        return 0, 0.0
    progress.phase("exporting to ONNX")
    folder.mkdir(exist_ok=True)
    for leftover in folder.glob(".exporting-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir=folder, prefix=".exporting-") as scratch:
        peak = run_inside(
            export.environment.python,
            EXPORT_FUNCTION,
            [str(export.staged), f"{scratch}/out"],
            log=Path(scratch) / "log",
            progress=progress,
            expected_bytes=expected_memory(export.checkpoint, export.release),
            timeout_s=_TIMEOUT_S,
        )
        made = Path(scratch) / "out" / "llm"
        if not (made / "model.onnx").is_file():
            raise CommandFailed(
                "the exporter ended well and wrote no graph",
                evidence=(Path(scratch) / "log").read_text(errors="replace")[-2000:],
                next_step="Report it upstream, with this log.",
            )
        made.rename(folder / GRAPH_FOLDER)
    seconds = time.monotonic() - started
    progress.note(f"exported in {seconds:.0f} s, at most {peak / 1e9:.2f} GB of memory")
    return peak, seconds


def expected_memory(checkpoint: Checkpoint, release: RuntimeRelease) -> int:
    """Memory that the exporter will take, in bytes, as measured for the release."""
    each = release.figures["export_ram_bytes_per_parameter"].value
    return int(checkpoint.parameters * each + release.figures["export_process_bytes"].value)


def inspect(graph: Path, environment: Environment, progress: Progress) -> GraphReport:
    """What is in the graph.

    Raises:
        CommandFailed: it cannot be read at all.
    """
    progress.phase("reading the graph")
    tree = _run_for_json("inspect_graph:main", [str(graph)], environment, progress, 1 << 30)
    return convert(tree, GraphReport, origin="inspect_graph")


def _compare_weights(export: Export, folder: Path, progress: Progress) -> WeightReport:
    progress.phase("comparing the graph's weights with the checkpoint's")
    arguments = [str(folder / GRAPH_FOLDER), str(export.staged)]
    tree = _run_for_json("compare_weights:main", arguments, export.environment, progress, 1 << 30)
    return convert(tree, WeightReport, origin="compare_weights")


def _compare(export: Export, folder: Path, progress: Progress) -> tuple[Difference, ...]:
    """Execute the graph on the processor and compare with Transformers, where that can be done."""
    if not export.layers:
        progress.note(f"numbers were not compared: {_why_not(export)}")
        return ()
    is_small = export.checkpoint.parameters <= _SMALL_PARAMETERS
    all_layers = len(export.checkpoint.shape.pattern)
    if export.layers < all_layers:
        progress.note(
            f"of {all_layers} layers the first {export.layers} and the output layer are executed, "
            f"as every weight was compared; {LAYERS_VARIABLE}=all executes all, 0 none"
        )
    with tempfile.TemporaryDirectory(dir=folder, prefix=".comparing-") as scratch:
        prompts, reference = Path(scratch) / "prompts.json", Path(scratch) / "reference.npz"
        prompts.write_text(json.dumps(PROMPTS), encoding="utf-8")
        progress.phase("computing the reference with Transformers in FP32")
        continuation, depth = _CONTINUATION if is_small else 0, str(export.layers)
        run_inside(
            export.environment.python,
            "reference_logits:main",
            [str(export.staged), str(prompts), str(reference), str(continuation), depth],
            log=Path(scratch) / "log",
            progress=progress,
            expected_bytes=export.comparing_bytes,
            timeout_s=_TIMEOUT_S,
        )
        progress.phase("executing the graph on the processor")
        tree = _run_for_json(
            "compare_numbers:main",
            [str(folder / GRAPH_FOLDER), str(reference)],
            export.environment,
            progress,
            export.comparing_bytes,
            after=["both" if is_small else "wide", depth],
        )
    parts = tree if isinstance(tree, list) else []
    return tuple(convert(part, Difference, origin="compare_numbers") for part in parts)


def _why_not(export: Export) -> str:
    if export.precision != "fp16":
        return "Transformers does not compute a quantized checkpoint as the engine does"
    if not export.depth:
        return f"{LAYERS_VARIABLE} is 0"
    return (
        f"Transformers would take {export.comparing_bytes / 1e9:.1f} GB in FP32, and "
        f"{export.memory_bytes / 1e9:.1f} GB are available; a build with more memory does it"
    )


def _run_for_json(
    function: str,
    arguments: list[str],
    environment: Environment,
    progress: Progress,
    expected_bytes: int,
    *,
    after: list[str] | None = None,
) -> object:
    with tempfile.TemporaryDirectory(prefix="edgellm-") as scratch:
        result = Path(scratch) / "result.json"
        run_inside(
            environment.python,
            function,
            [*arguments, str(result), *(after or [])],
            log=Path(scratch) / "log",
            progress=progress,
            expected_bytes=expected_bytes,
            timeout_s=_TIMEOUT_S,
        )
        tree: object = json.loads(result.read_bytes())
        return tree


def _key(export: Export, progress: Progress) -> str:
    """Names an export by what it is made of: the files, the environment, and our checks."""
    progress.phase("hashing the checkpoint")
    names = sorted(path.name for path in export.staged.iterdir() if path.is_file())
    meter = HashMeter(progress, sum((export.staged / name).stat().st_size for name in names))
    content = sha256_of_set((name, meter.sha256(export.staged / name)) for name in names)
    parts = (content, export.precision, export.environment.fingerprint, _CHECKS)
    text = " ".join((*parts, export.checkpoint.shape.pattern))
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _files(folder: Path) -> dict[str, int]:
    if not folder.is_dir():
        return {}
    return {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.is_file()}
