"""Engines of one graph, one process each: compiled, checked, recorded, and kept if nothing changed.

An engine takes its place by a rename after it was checked, and its record after it, so that what a
killed run leaves is either an engine that counts or a file that the next run removes.
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from trt_nemotron import __version__
from trt_nemotron.command import Completed, run
from trt_nemotron.deploy.compile.compilers import CompilerName
from trt_nemotron.deploy.compile.engine_file import check_engine
from trt_nemotron.deploy.compile.graph import GRAPH_NAME, GraphRecord
from trt_nemotron.deploy.compile.spec import GraphSpec
from trt_nemotron.deploy.compile.values import EngineRecord, EngineRequest, EngineResult, Profile
from trt_nemotron.document import read_document, sha256_of, to_json, write_document
from trt_nemotron.errors import BundleDamaged, CommandFailed, InvalidInput
from trt_nemotron.progress import SILENT, Progress

TIMEOUT_S = 7200.0
"""Of one engine; the compiler has no limit of its own."""

_PART = ".part"
_RESULT = ".result"

Compile = Callable[[EngineRequest], EngineResult]


@dataclass(frozen=True, slots=True)
class Compiler:
    """A compiler and how it is asked to work.

    Attributes:
        module: its Python module.
        version: of its package, part of what an engine follows from.
        profiles: sizes that engines are optimised for.
    """

    name: CompilerName
    module: str
    version: str
    profiles: tuple[Profile, ...]
    workspace_bytes: int = 0


def make_profiles(spec: GraphSpec, *, is_split: bool = False) -> tuple[Profile, ...]:
    """One profile for everything that a call may hold, best for a token of every sequence.

    Split, there are two: a token of every sequence, and a chunk of one prompt, which is read into
    its slot alone. TensorRT-RTX 1.7.1 then stores most weights twice: see docs/compile.md.
    """
    most, chunk = spec.max_batch_size, spec.chunk
    if not is_split or chunk == 1:
        return (Profile(name="any", batch=(1, most, most), tokens=(1, 1, chunk)),)
    return (
        Profile(name="decode", batch=(1, most, most), tokens=(1, 1, 1)),
        Profile(name="prefill", batch=(1, 1, 1), tokens=(2, chunk, chunk)),
    )


def engine_key(graph: GraphRecord, sm: int, compiler: Compiler) -> str:
    """Hash of everything that an engine follows from."""
    return sha256_of(
        {
            "graph": graph.content_sha256,
            "sm": sm,
            "compiler": compiler.name,
            "compiler_version": compiler.version,
            "workspace_bytes": compiler.workspace_bytes,
            "profiles": compiler.profiles,
            "tool": __version__,
        }
    )


def compile_engines(
    folder: Path,
    graph: GraphRecord,
    sms: Sequence[int],
    *,
    graph_folder: Path,
    compiler: Compiler,
    progress: Progress,
    compile_one: Compile | None = None,
) -> tuple[EngineRecord, ...]:
    """Compile the graph for every board of `sms` into `folder`, or keep what is there already.

    A compiler that refuses or crashes is no error here: its record says what happened, and the
    other boards go on.

    Args:
        folder: of the engines and their records.
        graph: the graph's record.
        sms: compute capabilities times ten.
        graph_folder: of the graph.
        compiler: which one.
        progress: is told of every board.
        compile_one: compiles one engine; without it a process of its own does.

    Raises:
        OSError: as the system says.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in (*folder.glob(f"*{_PART}"), *folder.glob(f"*{_RESULT}")):
        leftover.unlink()
    records = []
    for place, sm in enumerate(sms):
        progress.step(place, len(sms), "engines")
        record = find_engine(folder, graph, sm, compiler, progress)
        if record is None:
            progress.phase(f"compiling for SM{sm} ({place + 1} of {len(sms)})")
            record = _compile(
                folder,
                graph,
                sm,
                graph_folder=graph_folder,
                compiler=compiler,
                compile_one=compile_one or compile_in_process,
            )
            write_document(folder / _record_name(sm), record)
        records.append(record)
        progress.step(place + 1, len(sms), "engines")
        progress.note(f"SM{sm}: {record.problem or f'{record.engine_bytes:,} bytes'}")
    return tuple(records)


def find_engine(
    folder: Path, graph: GraphRecord, sm: int, compiler: Compiler, progress: Progress
) -> EngineRecord | None:
    """The record of an engine that is there, is this one, and is whole."""
    try:
        record = read_document(folder / _record_name(sm), EngineRecord)
    except InvalidInput:  # none, or one of another version
        return None
    if record.key != engine_key(graph, sm, compiler) or record.status != "compiled":
        return None
    try:
        _check(folder / record.file, record, graph, progress)
    except BundleDamaged as fault:
        progress.note(f"{fault.message} ({fault.evidence}): it is compiled anew")
        return None
    return msgspec.structs.replace(record, is_reused=True)


def _compile(
    folder: Path,
    graph: GraphRecord,
    sm: int,
    *,
    graph_folder: Path,
    compiler: Compiler,
    compile_one: Compile,
) -> EngineRecord:
    name = f"sm{sm}.engine"
    part, result_path = folder / (name + _PART), folder / (name + _RESULT)
    (folder / _record_name(sm)).unlink(missing_ok=True)
    request = EngineRequest(
        module=compiler.module,
        graph_path=str((graph_folder / GRAPH_NAME).absolute()),
        engine_path=str(part.absolute()),
        result_path=str(result_path.absolute()),
        sm=sm if compiler.name == "tensorrt-rtx" else 0,
        profiles=compiler.profiles,
        workspace_bytes=compiler.workspace_bytes,
    )
    try:
        result = compile_one(request)
        record = _record(result, graph, sm, compiler, name)
        if record.status == "compiled":
            _check(part, record, graph, SILENT)
            part.replace(folder / name)
    except (CommandFailed, BundleDamaged) as fault:
        record = _failure(sm, compiler, graph, fault)
    finally:
        for path in (part, result_path):
            path.unlink(missing_ok=True)
    return record


def compile_in_process(request: EngineRequest) -> EngineResult:
    """Compile in a process of its own, which ends with us and whose crash is not ours.

    Raises:
        CommandFailed: it crashed, was killed, took too long, or left no result.
    """
    done = run(
        [sys.executable, "-m", "trt_nemotron.deploy.compile.engine_process"],
        timeout_s=TIMEOUT_S,
        input=to_json(request).decode(),
    )
    return _read_result(Path(request.result_path), done)


def _read_result(path: Path, done: Completed) -> EngineResult:
    with suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(path.read_bytes(), type=EngineResult)
    raise CommandFailed(
        "the compiling process ended well and left no result",
        evidence=(done.stderr or done.stdout)[-2000:],
        next_step="Run the command again; if it stays so, report it.",
    )


def _record(
    result: EngineResult, graph: GraphRecord, sm: int, compiler: Compiler, name: str
) -> EngineRecord:
    is_compiled = not result.problem
    return EngineRecord(
        sm=sm,
        status="compiled" if is_compiled else "failed",
        compiler=compiler.name,
        compiler_version=result.version,
        key=engine_key(graph, sm, compiler),
        file=name if is_compiled else "",
        seconds=result.seconds,
        engine_bytes=result.engine_bytes,
        engine_sha256=result.engine_sha256,
        network_layers=sum(result.layers.values()),
        layers=result.layers,
        peak_rss_bytes=result.peak_rss_bytes,
        problem=result.problem,
        messages=result.messages,
    )


def _failure(
    sm: int, compiler: Compiler, graph: GraphRecord, fault: CommandFailed | BundleDamaged
) -> EngineRecord:
    return EngineRecord(
        sm=sm,
        status="failed",
        compiler=compiler.name,
        compiler_version=compiler.version,
        key=engine_key(graph, sm, compiler),
        problem=fault.message,
        messages=tuple(fault.evidence.splitlines()[-20:]),
    )


def _check(path: Path, record: EngineRecord, graph: GraphRecord, progress: Progress) -> None:
    check_engine(
        path,
        size_bytes=record.engine_bytes,
        sha256=record.engine_sha256,
        weight_bytes=graph.weight_bytes,
        progress=progress,
    )


def _record_name(sm: int) -> str:
    return f"sm{sm}.json"
