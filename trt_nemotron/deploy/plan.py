"""A plan: every setting with its value, reason and source, and the memory it takes in bytes."""

from typing import ClassVar, Literal

from trt_nemotron.deploy.checkpoint.values import CheckpointFormat
from trt_nemotron.deploy.roofline import Roofline
from trt_nemotron.deploy.shape import NemotronHShape
from trt_nemotron.document import Document, Value
from trt_nemotron.facts.target import RuntimeName

LineStatus = Literal["exact", "assumed", "measured"]
ChoiceValue = int | float | bool | str | tuple[int | float | str, ...] | None


class Choice(Value, frozen=True, kw_only=True):
    """One setting of the runtime.

    Attributes:
        name: the runtime's own name of the knob.
        reason: why this value, in one sentence.
        source: a formula, a document, an issue, or `asked for` when the user set it.
    """

    name: str
    value: ChoiceValue
    reason: str
    source: str


class LedgerLine(Value, frozen=True, kw_only=True):
    """One item of the memory ledger.

    Attributes:
        formula: how the bytes follow from the shape, readable: `2 x 1 layer x 2 heads x ...`.
        status: `exact` from the files and the shape, `assumed` until a start-up measured it.
    """

    name: str
    size_bytes: int
    formula: str
    status: LineStatus


class Ledger(Value, frozen=True, kw_only=True):
    """Memory the plan takes on the target.

    Attributes:
        lines: weights, KV cache, SSM state, convolution state, runtime overhead, reserve.
        memory_total_bytes: what the target has.
    """

    lines: tuple[LedgerLine, ...]
    memory_total_bytes: int

    @property
    def needed_bytes(self) -> int:
        """Sum of all lines, the reserve included."""
        return sum(line.size_bytes for line in self.lines)

    @property
    def headroom_bytes(self) -> int:
        """What is left; negative when the plan does not fit."""
        return self.memory_total_bytes - self.needed_bytes

    def line(self, name: str) -> LedgerLine:
        """The line called `name`; `KeyError` when there is none."""
        for line in self.lines:
            if line.name == name:
                return line
        raise KeyError(name)


class PlannedCheckpoint(Value, frozen=True, kw_only=True):
    """What a plan keeps of the checkpoint: enough to know it again, no path of this machine."""

    name: str
    format: CheckpointFormat
    quantization: str
    parameters: int
    weight_bytes: int
    shape: NemotronHShape
    revision: str = ""


class Plan(Document, frozen=True, kw_only=True):
    """The settings that fit a model on a target.

    The same target, checkpoint, release and wishes give the same plan, byte for byte: nothing of
    the moment (free memory, time, path) is in it.

    Attributes:
        precision: storage type of the large weights after the build: `f32`, `f16`, `q8_0`, `as-is`.
        served_model_name: the name under which the server answers.
        warnings: what the user should know, one sentence each.
        roofline: what the board allows at best; nothing where no bandwidth bounds it.
    """

    SCHEMA: ClassVar[str] = "trt-nemotron/plan/1"

    target: str
    runtime: RuntimeName
    release: str
    checkpoint: PlannedCheckpoint
    precision: str
    served_model_name: str
    choices: tuple[Choice, ...]
    ledger: Ledger
    warnings: tuple[str, ...] = ()
    roofline: Roofline | None = None

    def choice(self, name: str) -> ChoiceValue:
        """Value of the setting called `name`; `KeyError` when the plan has none."""
        for choice in self.choices:
            if choice.name == name:
                return choice.value
        raise KeyError(name)

    def int_choice(self, name: str) -> int:
        """Value of an integer setting; `TypeError` when it is not one."""
        value = self.choice(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name} is {value!r}, not an integer")
        return value
