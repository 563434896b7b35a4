"""Latency goals against the roofline: what a board cannot do, and how large a batch may be."""

from trt_nemotron.deploy.roofline import LOWEST_PUBLISHED_SHARE, Roofline
from trt_nemotron.deploy.runtimes.protocol import LatencyGoal
from trt_nemotron.errors import InvalidInput, PlanRefused

_SHARE_SOURCE = f"{LOWEST_PUBLISHED_SHARE:.0%} of the roofline, the least that was published"


def check_goal(goal: LatencyGoal | None, roofline: Roofline | None) -> tuple[str, ...]:
    """Refuse goals that no server can keep; a warning where that cannot be told.

    Raises:
        InvalidInput: a goal that is no time.
        PlanRefused: a goal below what one sequence alone takes on this board.
    """
    if goal is None:
        return ()
    for name, value in (("ttft_ms", goal.ttft_ms), ("tpot_ms", goal.tpot_ms)):
        if value is not None and not 0 < value < float("inf"):
            raise InvalidInput(
                f"--slo {name}={value:g} is no time",
                next_step=f"Give milliseconds above 0, such as {name}=50.",
            )
    if roofline is None:
        return ("No roofline bounds so small a model: --slo was not considered.",)
    least = roofline.least_step_ms(1, 1)
    for name, value in (("ttft_ms", goal.ttft_ms), ("tpot_ms", goal.tpot_ms)):
        if value is not None and value < least:
            raise PlanRefused(
                f"{name} = {value:g} ms cannot be kept on this board",
                evidence=f"one sequence alone takes {least:.2f} ms a step: "
                f"{roofline.weight_bytes / 1e9:.2f} GB of weights at "
                f"{roofline.bandwidth_gb_s:,.0f} GB/s",
                next_step=f"The least that physics allows: --slo {name}={least:.2f}; or use a "
                "checkpoint of lower precision.",
            )
    return ()


def largest_batch(goal: LatencyGoal | None, roofline: Roofline, most: int, context: int) -> int:
    """The largest batch up to `most` that may be expected to keep the goal; at least 1."""
    if goal is None or goal.tpot_ms is None:
        return most
    batch = most
    while batch > 1 and expected_step_ms(roofline, batch, context) > goal.tpot_ms:
        batch -= 1
    return batch


def expected_step_ms(roofline: Roofline, batch: int, context: int) -> float:
    """What a step may be expected to take."""
    return roofline.least_step_ms(batch, context) / LOWEST_PUBLISHED_SHARE


def judge_batch(
    goal: LatencyGoal | None, roofline: Roofline | None, batch: int, context: int
) -> tuple[str, ...]:
    """A warning when the batch may not keep the goal.

    Raises:
        PlanRefused: it cannot, whatever the server does.
    """
    if goal is None or goal.tpot_ms is None or roofline is None:
        return ()
    least = roofline.least_step_ms(batch, context)
    if least > goal.tpot_ms:
        fitting = largest_batch(goal, roofline, batch, context)
        raise PlanRefused(
            f"{batch} sequences cannot keep tpot_ms = {goal.tpot_ms:g}",
            evidence=f"a step takes {least:.2f} ms at least, with contexts of {context:,} tokens",
            next_step=f"May be kept with --max-concurrency {fitting}.",
        )
    expected = expected_step_ms(roofline, batch, context)
    if expected > goal.tpot_ms:
        return (
            (
                f"tpot_ms = {goal.tpot_ms:g} is above the roofline and may be missed: a step of "
                f"{batch} sequences may take {expected:.1f} ms ({_SHARE_SOURCE})."
            ),
        )
    return ()
