"""A target: the facts of one kind of device, as data."""

from typing import ClassVar, Literal

from trt_nemotron.document import Document, Value
from trt_nemotron.facts.figure import Figure

RuntimeName = Literal["trtllm", "edgellm", "llamacpp", "transformers", "vllm", "sglang"]
SupportStatus = Literal["supported", "experimental", "refused"]


class RuntimeSupport(Value, frozen=True, kw_only=True):
    """Whether a runtime may be used on a target, why, and who says so."""

    runtime: RuntimeName
    status: SupportStatus
    reason: str
    source: str


class Gpu(Value, frozen=True, kw_only=True):
    """The accelerator of a target; a target without one has none."""

    sm: int
    bandwidth_gb_s: Figure
    is_memory_unified: bool


class Target(Document, frozen=True, kw_only=True):
    """Facts of a device.

    Attributes:
        memory_total_bytes: nothing for `cpu`, where the machine itself is asked.
        reserve_bytes: what is left to the operating system and other programs.
        runtimes: the runtimes known for it, the default one first.
    """

    SCHEMA: ClassVar[str] = "trt-nemotron/target/1"

    name: str
    title: str
    architectures: tuple[Literal["x86_64", "aarch64"], ...]
    runtimes: tuple[RuntimeSupport, ...]
    reserve_bytes: Figure
    memory_total_bytes: Figure | None = None
    gpu: Gpu | None = None
