"""Checks of what a user asked for that hold for every runtime."""

from trt_nemotron.deploy.machine import Machine
from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.deploy.shape import NemotronHShape
from trt_nemotron.errors import InvalidInput, PlanRefused


def check_wishes(wishes: Wishes, shape: NemotronHShape, machine: Machine) -> None:
    """Refuse numbers that cannot be meant, and those beyond the model or the machine.

    Raises:
        InvalidInput: a number below one, an empty name.
        PlanRefused: more context than the model has, more threads than there are cores.
    """
    _refuse_below_one("--context", wishes.context_tokens)
    _refuse_below_one("--slots", wishes.slots)
    _refuse_below_one("--threads", wishes.threads)
    name = wishes.served_model_name
    if name is not None and (not name.strip() or not name.isprintable()):
        raise InvalidInput(
            "--model-name cannot be used",
            evidence=f"it is {name!r}",
            next_step="Give a printable name, such as nemotron-3-nano-4b.",
        )
    context, threads = wishes.context_tokens, wishes.threads
    if context is not None and context > shape.longest_context:
        raise PlanRefused(
            f"a context of {context} tokens is more than the model has",
            evidence=f"max_position_embeddings is {shape.longest_context}",
            next_step=f"The longest that works: --context {shape.longest_context}",
        )
    if threads is not None and threads > machine.cores:
        raise PlanRefused(
            f"{threads} threads are more than this process may use",
            evidence=f"{machine.cores} cores are usable; threads beyond them wait for each other",
            next_step=f"The most that works: --threads {machine.cores}",
        )


def _refuse_below_one(option: str, number: int | None) -> None:
    if number is not None and number < 1:
        raise InvalidInput(
            f"{option} must be at least 1",
            evidence=f"it is {number}",
            next_step=f"The least that works: {option} 1",
        )
