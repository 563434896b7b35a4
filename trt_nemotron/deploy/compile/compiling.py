"""From what a user asks for to `compile.json`: checkpoint, graph, engines, report."""

import importlib.metadata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from trt_nemotron import __version__
from trt_nemotron.deploy.bundle.placing import source_folder
from trt_nemotron.deploy.checkpoint.embedded import embedded_checkpoint_path
from trt_nemotron.deploy.checkpoint.known_model import known_checkpoint
from trt_nemotron.deploy.checkpoint.opening import open_checkpoint
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.compile.compilers import CompilerName, choose_sms, module_of
from trt_nemotron.deploy.compile.computed import read_epsilon
from trt_nemotron.deploy.compile.elements import Precision
from trt_nemotron.deploy.compile.engines import Compile, Compiler, compile_engines, make_profiles
from trt_nemotron.deploy.compile.graph import ensure_graph
from trt_nemotron.deploy.compile.spec import GraphSpec, check_spec, weight_slots
from trt_nemotron.deploy.compile.values import LABEL, CompileReport, Profile
from trt_nemotron.deploy.compile.weights import RandomWeights, WeightSource, open_weights
from trt_nemotron.deploy.machine import memory_available_bytes
from trt_nemotron.deploy.shape import NemotronHShape
from trt_nemotron.document import Value, write_document
from trt_nemotron.errors import CheckpointUnusable, EnvironmentUnfit, InvalidInput
from trt_nemotron.progress import Progress

GRAPH_FOLDER = "graph"
ENGINE_FOLDER = "engines"
REPORT_NAME = "compile.json"
DEFAULT_CHUNK = 256

_EPSILON = 1e-5
"""Of the published model (`layer_norm_epsilon`), where only the shape is known."""

_MEMORY_PER_WEIGHT_BYTE = 2.6
_MEMORY_PER_WEIGHT_BYTE_SPLIT = 4.0
_MEMORY_BASE_BYTES = 350 * 1024 * 1024
"""Memory that the compiling process takes: see docs/compile.md for what was measured."""


@dataclass(frozen=True, slots=True)
class CompileWishes:
    """What the user asks for.

    Attributes:
        checkpoint: a folder, the name of a published checkpoint (with `is_random`), or `None` for
            the embedded one.
        layers: only the first so many; `None` for all.
        chunk: most tokens of a sequence in one call; `None` for 256, or the sequence if shorter.
        sms: compute capabilities times ten; none for the usual ones.
        workspace_bytes: most scratch memory of a layer on the GPU; 0 for the compiler's limit.
        is_split: a profile for decoding and one for prompts, instead of one for both.
    """

    checkpoint: Path | None = None
    precision: Precision = "bf16"
    max_seq_len: int = 4096
    max_batch_size: int = 1
    chunk: int | None = None
    layers: int | None = None
    is_random: bool = False
    sms: tuple[int, ...] = ()
    compiler: CompilerName = "tensorrt-rtx"
    workspace_bytes: int = 0
    is_split: bool = False


class CompilePlan(Value, frozen=True, kw_only=True):
    """What would be done.

    Attributes:
        weight_bytes: of the graph's weights.
        memory_bytes: that compiling one engine is expected to take, from engines measured.
    """

    label: str = LABEL
    checkpoint: str
    is_random: bool
    spec: GraphSpec
    profiles: tuple[Profile, ...]
    compiler: CompilerName
    sms: tuple[int, ...]
    parameters: int
    weight_bytes: int
    memory_bytes: int
    workspace_bytes: int = 0


def plan_compile(wishes: CompileWishes) -> tuple[CompilePlan, Checkpoint]:
    """What `compile_checkpoint` would do, and of which checkpoint; reads headers only.

    Raises:
        InvalidInput: sizes that contradict each other, or a board the compiler does not know.
        CheckpointUnusable: nothing usable is there.
        EnvironmentUnfit: TensorRT proper on a machine without a GPU.
    """
    sms = choose_sms(wishes.compiler, wishes.sms)
    checkpoint = _open(wishes)
    shape = _first_layers(checkpoint.shape, wishes.layers)
    spec = GraphSpec(
        shape=shape,
        epsilon=read_epsilon(source_folder(checkpoint)) if checkpoint.files else _EPSILON,
        precision=wishes.precision,
        max_seq_len=wishes.max_seq_len,
        max_batch_size=wishes.max_batch_size,
        chunk=wishes.chunk or min(DEFAULT_CHUNK, wishes.max_seq_len),
    )
    check_spec(spec)
    weight_bytes = sum(slot.size_bytes for slot in weight_slots(spec))
    factor = _MEMORY_PER_WEIGHT_BYTE_SPLIT if wishes.is_split else _MEMORY_PER_WEIGHT_BYTE
    plan = CompilePlan(
        checkpoint=checkpoint.name,
        is_random=wishes.is_random,
        spec=spec,
        profiles=make_profiles(spec, is_split=wishes.is_split),
        compiler=wishes.compiler,
        sms=sms,
        parameters=shape.parameters,
        weight_bytes=weight_bytes,
        memory_bytes=_MEMORY_BASE_BYTES + int(weight_bytes * factor),
        workspace_bytes=wishes.workspace_bytes,
    )
    return plan, checkpoint


def compile_checkpoint(
    plan: CompilePlan,
    checkpoint: Checkpoint,
    out: Path,
    progress: Progress,
    *,
    compile_one: Compile | None = None,
    available: Callable[[], int] = memory_available_bytes,
) -> CompileReport:
    """Build the graph and compile it for every board planned; what is there already is kept.

    Args:
        plan: what to do.
        checkpoint: it was planned for.
        out: the folder of graph, engines and `compile.json`.
        progress: is told of every step.
        compile_one: compiles one engine; without it a process of its own does.
        available: bytes of memory that can be used now.

    Returns:
        The report, which is also written; engines that could not be compiled are in it.

    Raises:
        EnvironmentUnfit: a package, memory or disk space is missing, or `out` is in use.
        CheckpointUnusable: numbers that do not fit into the precision.
        OSError: as the system says.
    """
    module = module_of(plan.compiler)
    _require_memory(plan, available())
    compiler = Compiler(
        name=plan.compiler,
        module=module,
        version=_version(module),
        profiles=plan.profiles,
        workspace_bytes=plan.workspace_bytes,
    )
    with _held(out), _source(plan, checkpoint, progress) as source:
        graph = ensure_graph(out / GRAPH_FOLDER, plan.spec, source, progress)
        engines = compile_engines(
            out / ENGINE_FOLDER,
            graph,
            plan.sms,
            graph_folder=out / GRAPH_FOLDER,
            compiler=compiler,
            progress=progress,
            compile_one=compile_one,
        )
        report = CompileReport(
            tool_version=__version__,
            checkpoint=plan.checkpoint,
            is_random=plan.is_random,
            graph=graph,
            profiles=plan.profiles,
            engines=engines,
            seconds=round(sum(engine.seconds for engine in engines), 3),
        )
        write_document(out / REPORT_NAME, report)
    return report


def _open(wishes: CompileWishes) -> Checkpoint:
    path = wishes.checkpoint or embedded_checkpoint_path()
    if len(path.parts) == 1 and not path.exists():
        known = known_checkpoint(path.name)
        if known is not None and not wishes.is_random:
            raise CheckpointUnusable(
                f"{known.name} is known from its facts only: there are no weights to compile",
                evidence=f"no folder is called {path.name!r}",
                next_step="Download it and give its folder, or compile its shape with "
                "--random-weights.",
            )
        if known is not None:
            return known
    return open_checkpoint(path)


def _first_layers(shape: NemotronHShape, layers: int | None) -> NemotronHShape:
    if layers is None:
        return shape
    if not 1 <= layers <= len(shape.pattern):
        raise InvalidInput(
            f"the network has {len(shape.pattern)} layers, not {layers}",
            evidence=f"its layers: {shape.pattern}",
            next_step=f"Give --layers 1 to {len(shape.pattern)}.",
        )
    return msgspec.structs.replace(shape, pattern=shape.pattern[:layers])


@contextmanager
def _source(
    plan: CompilePlan, checkpoint: Checkpoint, progress: Progress
) -> Iterator[WeightSource]:
    if plan.is_random:
        yield RandomWeights()
        return
    with open_weights(checkpoint, progress) as weights:
        yield weights


@contextmanager
def _held(out: Path) -> Iterator[None]:
    """The folder for ourselves: two runs at once would remove each other's files."""
    from filelock import FileLock, Timeout

    out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as fault:
        raise EnvironmentUnfit(
            f"another run is compiling into {out}",
            evidence=str(fault),
            next_step="Wait for it, or give another --out.",
        ) from fault
    try:
        yield
    finally:
        lock.release()


def _require_memory(plan: CompilePlan, available: int) -> None:
    """Refuse what the system's memory killer would end minutes later."""
    if plan.memory_bytes > available:
        raise EnvironmentUnfit(
            "not enough memory to compile this network",
            evidence=f"about {plan.memory_bytes:,} bytes needed (three times the weights), "
            f"{available:,} available",
            next_step="Compile fewer layers (--layers), or use a machine with more memory.",
        )


def _version(module: str) -> str:
    """Of the installed package that holds `module`, which need not be loaded for it."""
    distributions = importlib.metadata.packages_distributions().get(module, [])
    return max(map(importlib.metadata.version, distributions), default="unknown")
