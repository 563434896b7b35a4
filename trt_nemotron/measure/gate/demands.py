"""What a budget asks of a run besides its bounds: answers, work, and a machine at rest."""

from typing import Annotated

import msgspec

from trt_nemotron.document import Value

Count = Annotated[int, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(ge=0.0)]


class SmokeRule(Value, frozen=True, kw_only=True):
    """What a smoke report has to show; one that is handed over is always judged.

    Attributes:
        required: whether one must be handed over; it must where `must_pass` names a check.
        pass_share_at_least: of the checks that were asked, skipped ones not counted.
        must_pass: checks that have to pass whatever the share is; a skipped one has not.
    """

    required: bool = False
    pass_share_at_least: Share = 1.0
    must_pass: tuple[str, ...] = ()

    @property
    def needs_report(self) -> bool:
        """Whether a verdict without a smoke report is invalid."""
        return self.required or bool(self.must_pass)


class WorkloadRule(Value, frozen=True, kw_only=True):
    """The work for which the bounds are meant; what is not named may be anything.

    Attributes:
        cached_share_at_most: share of the prompt tokens that the server took from its cache; a
            TTFT over cached prompts is the cache's, not the model's.
    """

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    is_thinking_enabled: bool | None = None
    cached_share_at_most: Share = 0.1


class MachineRule(Value, frozen=True, kw_only=True):
    """What may befall the server's machine meanwhile; what nobody looked at is not judged.

    Attributes:
        other_load_share_at_most: of the machine's processors, kept busy by other programs or taken
            by a hypervisor. A quarter is a whole processor of four. 1.0 allows anything: for
            machines that nobody chose, with bounds that are meant for them.
        throttled_share_at_most: of a leg's time, with clocks lowered by heat or a power brake.
    """

    other_load_share_at_most: Share = 0.25
    throttled_share_at_most: Share = 0.01
