"""A target: the facts of one kind of device, as data."""

from typing import ClassVar, Literal

from trt_nemotron.document import Document, Value
from trt_nemotron.facts.figure import Figure

RuntimeName = Literal["trtllm", "edgellm", "llamacpp", "transformers", "vllm", "sglang"]
SupportStatus = Literal["supported", "experimental", "refused"]


class RuntimeSupport(Value, frozen=True, kw_only=True):
    """Whether a runtime may be used on a target, why, and who says so.

    Attributes:
        release: the release to use there; empty for the newest that is known.
        release_reason: why that one.
    """

    runtime: RuntimeName
    status: SupportStatus
    reason: str
    source: str
    release: str = ""
    release_reason: str = ""


class PowerMode(Value, frozen=True, kw_only=True):
    """A power limit or mode that a board can be put into; latency depends on it.

    Attributes:
        set_by: the command that chooses it, as a person would type it.
    """

    name: str
    power_w: Figure | None = None
    set_by: str = ""
    source: str


class Gpu(Value, frozen=True, kw_only=True):
    """The accelerator of a target; a target without one has none.

    Attributes:
        sm: compute capability without its dot: 90, 110, 121.
        sm_name: as compilers call it: `sm_90`.
        product_names: names under which drivers show the board, to detect it by.
    """

    sm: int
    bandwidth_gb_s: Figure
    is_memory_unified: bool
    sm_name: str = ""
    sm_count: Figure | None = None
    product_names: tuple[str, ...] = ()


class Target(Document, frozen=True, kw_only=True):
    """Facts of a device.

    Attributes:
        memory_total_bytes: nothing for `cpu`, where the machine itself is asked.
        memory_usable_bytes: what software sees of it.
        reserve_bytes: what is left to the operating system and other programs.
        runtimes: the runtimes known for it, the default one first.
        container_platform: as container engines call it.
        family: a name that several boards share, such as `h100`; the driver is asked which it is.
    """

    SCHEMA: ClassVar[str] = "trt-nemotron/target/1"

    name: str
    title: str
    architectures: tuple[Literal["x86_64", "aarch64"], ...]
    runtimes: tuple[RuntimeSupport, ...]
    reserve_bytes: Figure
    memory_total_bytes: Figure | None = None
    memory_usable_bytes: Figure | None = None
    gpu: Gpu | None = None
    power_modes: tuple[PowerMode, ...] = ()
    container_platform: Literal["", "linux/amd64", "linux/arm64"] = ""
    family: str = ""

    @property
    def seen_memory(self) -> Figure | None:
        """What software sees of the memory, in bytes; all of it where that is not known."""
        return self.memory_usable_bytes or self.memory_total_bytes
