"""Checks of what a user asked for that hold for every runtime."""

from collections.abc import Collection, Mapping

from trt_nemotron.deploy.machine import Machine
from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.deploy.shape import NemotronHShape
from trt_nemotron.errors import InvalidInput, PlanRefused

_OPTIONS = {
    "precision": "--precision",
    "context_tokens": "--context",
    "slots": "--slots",
    "threads": "--threads",
    "release": "--release",
    "profile": "--profile",
    "max_concurrency": "--max-concurrency",
    "max_seq_len": "--max-seq-len",
    "slo": "--slo",
    "settings": "--set",
    "overrides": "--override",
    "observed": "--observed",
}
"""Wishes that not every runtime knows, and how they are said."""

PROCESSOR_WISHES = frozenset({"precision", "context_tokens", "slots", "threads"})
"""Those that runtimes on a processor know."""


def refuse_foreign_wishes(
    wishes: Wishes, known: Collection[str], runtime: str, instead: Mapping[str, str] | None = None
) -> None:
    """Refuse what was asked for and `runtime` does not know, by the option's name.

    Args:
        wishes: what was asked for.
        known: names of the fields that the runtime knows.
        runtime: its name, as a sentence begins with it.
        instead: for some fields, what to say instead.

    Raises:
        InvalidInput: naming the option.
    """
    for name, option in _OPTIONS.items():
        if name in known or getattr(wishes, name) in {None, ()}:
            continue
        known_options = ", ".join(_OPTIONS[it] for it in _OPTIONS if it in known)
        raise InvalidInput(
            f"{runtime} does not know {option}",
            evidence=f"it knows {known_options}",
            next_step=(instead or {}).get(name) or f"Leave {option} out.",
        )


def check_wishes(wishes: Wishes, shape: NemotronHShape, machine: Machine) -> None:
    """Refuse numbers that cannot be meant, and those beyond the model or the machine.

    It is for runtimes on a processor.

    Raises:
        InvalidInput: a number below one, an empty name, an option for other runtimes.
        PlanRefused: more context than the model has, more threads than there are cores, a network
            with experts.
    """
    if shape.experts is not None:
        raise PlanRefused(
            "a mixture of experts cannot be served by a runtime on a processor",
            evidence=f"{shape.expert_layers} of {len(shape.pattern)} layers are experts; what "
            "converts and counts for these runtimes knows dense networks only",
            next_step="Use a dense checkpoint, or a target with an accelerator.",
        )
    refuse_foreign_wishes(wishes, PROCESSOR_WISHES, "a runtime on a processor")
    refuse_below_one("--context", wishes.context_tokens)
    refuse_below_one("--slots", wishes.slots)
    refuse_below_one("--threads", wishes.threads)
    check_name(wishes.served_model_name)
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


def check_board_wishes(
    wishes: Wishes,
    shape: NemotronHShape,
    known: frozenset[str],
    runtime: str,
    instead: Mapping[str, str],
) -> None:
    """Refuse what no runtime on a board can do.

    Args:
        wishes: what was asked for.
        shape: of the checkpoint.
        known: fields of `Wishes` that the runtime takes.
        runtime: its name, for messages.
        instead: what to say in place of an option of other runtimes.

    Raises:
        InvalidInput: a number below one, an empty name, an option for other runtimes.
        PlanRefused: longer sequences than the model has.
    """
    refuse_foreign_wishes(wishes, known, f"the runtime {runtime}", instead)
    refuse_below_one("--max-concurrency", wishes.max_concurrency)
    refuse_below_one("--max-seq-len", wishes.max_seq_len)
    check_name(wishes.served_model_name)
    longest = shape.longest_context
    if wishes.max_seq_len is not None and wishes.max_seq_len > longest:
        raise PlanRefused(
            f"a length of {wishes.max_seq_len} tokens is more than the model has",
            evidence=f"max_position_embeddings is {longest}",
            next_step=f"The longest that works: --max-seq-len {longest}",
        )


def check_name(name: str | None) -> None:
    """Refuse a served name that cannot be printed.

    Raises:
        InvalidInput: an empty or unprintable one.
    """
    if name is not None and (not name.strip() or not name.isprintable()):
        raise InvalidInput(
            "--model-name cannot be used",
            evidence=f"it is {name!r}",
            next_step="Give a printable name, such as nemotron-3-nano-4b.",
        )


def refuse_below_one(option: str, number: int | None) -> None:
    """Refuse a number that cannot be meant.

    Raises:
        InvalidInput: a number below one.
    """
    if number is not None and number < 1:
        raise InvalidInput(
            f"{option} must be at least 1",
            evidence=f"it is {number}",
            next_step=f"The least that works: {option} 1",
        )
