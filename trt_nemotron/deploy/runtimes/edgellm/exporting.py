"""Step one, on any machine: a checkpoint becomes an ONNX graph that is proven before a device is
touched. Kept in the user's cache by content, so that a second build and a resumed one are quick.

    CACHE/onnx/KEY/
      graph/        what tensorrt-edgellm-export wrote (model.onnx, its data, embeddings, tokenizer)
      record.json   what was found in it; last, so that it is there only when all checks passed
"""

import hashlib
import shutil
import tempfile
import time
from pathlib import Path

from filelock import FileLock

from trt_nemotron.deploy.bundle.hashing import HashMeter, sha256_of_set
from trt_nemotron.deploy.runtimes.edgellm.comparing import (
    compare_numbers,
    compare_weights,
    inspect_graph,
)
from trt_nemotron.deploy.runtimes.edgellm.export import Export, expected_memory
from trt_nemotron.deploy.runtimes.edgellm.graph import judge_graph, judge_numbers, judge_weights
from trt_nemotron.deploy.runtimes.edgellm.running import run_inside
from trt_nemotron.deploy.runtimes.edgellm.values import ExportRecord
from trt_nemotron.document import read_document, write_document
from trt_nemotron.errors import CheckFailed, CommandFailed, InvalidInput
from trt_nemotron.progress import Progress

GRAPH_FOLDER = "graph"
RECORD_NAME = "record.json"
EXPORT_FUNCTION = "tensorrt_edgellm.scripts.export:main"

_TIMEOUT_S = 4 * 3600.0
_CHECKS = "3"
"""Raised when the checks change, so that what older ones let pass is looked at again."""


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
    graph = folder / GRAPH_FOLDER
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        known = read_record(folder)
        if known is not None and known.layers >= export.layers:
            progress.note(f"exported and checked before: {graph}")
            return graph, known
        peak, seconds = _export(export, folder, progress)
        try:
            report = inspect_graph(graph, export.environment, progress)
            judge_graph(report, export.checkpoint, export.precision)
            weights = compare_weights(export, graph, progress)
            judge_weights(weights)
            differences = compare_numbers(export, graph, progress)
            judge_numbers(differences)
        except CheckFailed:
            shutil.rmtree(graph)
            raise
        record = ExportRecord(
            release=export.release.release,
            report=report,
            weights=weights,
            differences=differences,
            layers=export.layers,
            files=_files(graph),
            peak_bytes=peak,
            seconds=seconds,
        )
        write_document(folder / RECORD_NAME, record)
    return graph, record


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
