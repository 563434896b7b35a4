"""What passes between the tool and the process that compiles, and what stays on disk of it."""

from typing import ClassVar, Literal

import msgspec

from trt_nemotron.deploy.compile.compilers import CompilerName
from trt_nemotron.deploy.compile.graph import GraphRecord
from trt_nemotron.document import Document, Value

LABEL = "compiled, not executed"
"""What every engine of this part is: nothing here runs it, and no speed follows from it."""


class Profile(Value, frozen=True, kw_only=True):
    """A range of sizes that an engine is optimised for: least, best and most.

    Attributes:
        batch: sequences; where the graph's batch is fixed, only 1.
        tokens: of each sequence.
    """

    name: str
    batch: tuple[int, int, int]
    tokens: tuple[int, int, int]


class EngineRequest(Value, frozen=True, kw_only=True):
    """One engine to be compiled, as the process that does it is told.

    Attributes:
        module: the compiler's Python module.
        sm: compute capability times ten; 0 for the machine's own GPU.
        workspace_bytes: most memory on the GPU for a layer's scratch; 0 for the compiler's own
            limit.
    """

    module: str
    graph_path: str
    engine_path: str
    result_path: str
    sm: int
    profiles: tuple[Profile, ...]
    workspace_bytes: int = 0


class EngineResult(Value, frozen=True, kw_only=True):
    """What the compiling process says at its end.

    Attributes:
        problem: why there is no engine; empty when there is one.
        messages: what the compiler said on the way, warnings and errors.
        seconds: of compiling alone, without loading the compiler and parsing the graph.
        layers: of the network as it was read, by kind, before the compiler fuses any.
        peak_rss_bytes: most memory that the process held.
    """

    version: str
    problem: str = ""
    messages: tuple[str, ...] = ()
    seconds: float = 0.0
    engine_bytes: int = 0
    engine_sha256: str = ""
    layers: dict[str, int] = msgspec.field(default_factory=dict)
    peak_rss_bytes: int = 0


class EngineRecord(Document, frozen=True, kw_only=True):
    """One engine, or why there is none.

    Attributes:
        key: of everything that the engine follows from.
        file: its name beside this record; empty when there is none.
        layers: of the network as the compiler read it, before fusion.
        is_reused: whether it was there already; its seconds are then of the run that compiled it.
    """

    SCHEMA: ClassVar[str] = "trt-nemotron/engine/1"

    sm: int
    status: Literal["compiled", "failed"]
    compiler: CompilerName
    compiler_version: str
    key: str
    label: str = LABEL
    file: str = ""
    seconds: float = 0.0
    engine_bytes: int = 0
    engine_sha256: str = ""
    network_layers: int = 0
    layers: dict[str, int] = msgspec.field(default_factory=dict)
    peak_rss_bytes: int = 0
    problem: str = ""
    messages: tuple[str, ...] = ()
    is_reused: bool = False


class CompileReport(Document, frozen=True, kw_only=True):
    """`compile.json`: one graph and all engines made of it.

    Attributes:
        seconds: of compiling, all engines together.
        is_random: whether the weights mean nothing.
    """

    SCHEMA: ClassVar[str] = "trt-nemotron/compile/1"

    label: str = LABEL
    tool_version: str
    checkpoint: str
    is_random: bool
    graph: GraphRecord
    profiles: tuple[Profile, ...]
    engines: tuple[EngineRecord, ...]
    seconds: float

    @property
    def failed(self) -> tuple[EngineRecord, ...]:
        """Engines that there are not."""
        return tuple(engine for engine in self.engines if engine.status == "failed")
