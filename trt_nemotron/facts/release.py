"""A runtime release: what one version of a runtime accepts, does, and is known to break on."""

from typing import ClassVar, Literal

from trt_nemotron.document import Document, Value
from trt_nemotron.facts.target import RuntimeName


class Setting(Value, frozen=True, kw_only=True):
    """One knob of a release.

    Attributes:
        default: what the runtime takes when nothing is said.
        trap: why the default must not be relied on; empty when it may.
    """

    name: str
    type: Literal["int", "float", "bool", "str", "list[int]"]
    default: int | float | bool | str | None = None
    allowed: tuple[int | float | str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    trap: str = ""
    source: str = ""


class Defect(Value, frozen=True, kw_only=True):
    """Something a release is known to do wrong, whom it hits, and what we do about it."""

    id: str
    summary: str
    source: str
    targets: tuple[str, ...] = ()
    answer: str


class KnownFailure(Value, frozen=True, kw_only=True):
    """A line of a failing server's log that we can explain.

    Attributes:
        pattern: a regular expression searched for in each line of the log.
    """

    pattern: str
    cause: str
    next_step: str


class RuntimeRelease(Document, frozen=True, kw_only=True):
    """A runtime at one version."""

    SCHEMA: ClassVar[str] = "trt-nemotron/runtime-release/1"

    runtime: RuntimeName
    release: str
    about: str
    source: str
    date: str
    settings: tuple[Setting, ...] = ()
    defects: tuple[Defect, ...] = ()
    known_failures: tuple[KnownFailure, ...] = ()
