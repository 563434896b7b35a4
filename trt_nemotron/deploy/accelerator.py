"""The board that a plan for an accelerator is made for, and the memory that software sees of it."""

from trt_nemotron.errors import PlanRefused
from trt_nemotron.facts.target import Gpu, Target


def accelerator_of(target: Target, runtime_title: str) -> Gpu:
    """The board of a target.

    Args:
        target: what is planned for.
        runtime_title: who needs it, for the message.

    Raises:
        PlanRefused: the target has none.
    """
    if target.gpu is None:
        raise PlanRefused(
            f"{runtime_title} needs an accelerator, which target '{target.name}' has not",
            next_step="Choose another target: trt-nemotron targets",
        )
    return target.gpu


def seen_memory_bytes(target: Target) -> int:
    """What software sees of a board's memory, in bytes; 0 where the target's facts do not say."""
    figure = target.seen_memory
    return int(figure.value) if figure else 0
