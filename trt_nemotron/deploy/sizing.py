"""How many slots, how long a context: the search that a plan makes when memory decides.

Pure: a caller says with a function what fits, this module says what to try and in which order.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

LEAST_CONTEXT = 2048
"""Below this many tokens a slot is of no use to a chat with tools: not chosen unasked."""

DEFAULT_CONTEXT = 32768
"""Not exceeded unasked: memory for it is taken from every slot whether used or not."""

DEFAULT_SLOTS = 4


@dataclass(frozen=True, slots=True)
class Sizing:
    """Slots, and tokens of context for each."""

    slots: int
    context: int

    def as_options(self) -> str:
        """The options that ask for it."""
        return f"--context {self.context} --slots {self.slots}"


Fits = Callable[[Sizing], bool]


def choose_sizing(
    slots: int | None, context: int | None, longest_context: int, fits: Fits
) -> Sizing | None:
    """The first sizing that fits, of those that honour what was asked for; `None` when none does.

    Slots are given up before the context falls below `LEAST_CONTEXT`, context before slots above.
    """
    for slot_count in _slot_counts(slots):
        for tokens in _contexts(context, longest_context):
            sizing = Sizing(slot_count, tokens)
            if fits(sizing):
                return sizing
    return None


def nearest_sizings(wanted: Sizing, fits: Fits) -> tuple[Sizing, ...]:
    """What fits near `wanted`: the longest context with its slots, the most slots with its context.

    The search halves, which suits memory that grows with both; the better of the two comes first.
    """
    found = []
    for candidates in (_fewer_tokens(wanted), _fewer_slots(wanted)):
        fitting = next((sizing for sizing in candidates if fits(sizing)), None)
        if fitting is not None:
            found.append(fitting)
    if not found:
        both = (
            Sizing(fewer.slots, less.context)
            for fewer in _fewer_slots(wanted)
            for less in _fewer_tokens(wanted)
        )
        found.extend(sizing for sizing in [next(filter(fits, both), None)] if sizing is not None)
    return tuple(found)


def _slot_counts(wished: int | None) -> tuple[int, ...]:
    return (wished,) if wished is not None else (DEFAULT_SLOTS, 2, 1)


def _contexts(wished: int | None, longest: int) -> Iterator[int]:
    if wished is not None:
        yield wished
        return
    tokens = min(longest, DEFAULT_CONTEXT)
    yield tokens
    while tokens // 2 >= LEAST_CONTEXT:
        tokens //= 2
        yield tokens


def _fewer_tokens(wanted: Sizing) -> Iterator[Sizing]:
    """Powers of two below the wanted context, which are what people ask for."""
    tokens = 1 << max((wanted.context - 1).bit_length() - 1, 0)
    while tokens >= 256:
        yield Sizing(wanted.slots, tokens)
        tokens //= 2


def _fewer_slots(wanted: Sizing) -> Iterator[Sizing]:
    for slots in range(wanted.slots - 1, 0, -1):
        yield Sizing(slots, wanted.context)
