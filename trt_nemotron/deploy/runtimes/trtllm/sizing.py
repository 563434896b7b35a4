"""How many sequences, how long, and which limit on the pool: what fits decides.

Wanted is that every sequence can reach its full length at the same time. Where the user asked for
more than that, fewer at full length are accepted with a warning, as long as there is room for one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from trt_nemotron.deploy.runtimes.trtllm.ledger import (
    DEFAULT_FRACTION,
    Caps,
    Sizes,
    free_bytes,
    ledger,
    pool_tokens,
)
from trt_nemotron.deploy.runtimes.trtllm.situation import BLOCK_TOKENS, Situation
from trt_nemotron.deploy.sizes import gib
from trt_nemotron.deploy.sizing import DEFAULT_CONTEXT, LEAST_CONTEXT
from trt_nemotron.errors import PlanRefused
from trt_nemotron.facts.configuration.rules import LARGEST_FRACTION_PERCENT

_FRACTION_STEP_PERCENT = 5
_MARGIN_PERCENT = 110

Shaped = Callable[[int, int], Sizes]
"""Batch and sequence length to all sizes that follow from them."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user asked for; `None` leaves it open.

    Attributes:
        caps: limits on the pool that the user gave.
        most_batch: the largest batch worth trying when none was asked for.
    """

    batch: int | None
    seq_len: int | None
    caps: Caps | None
    most_batch: int


@dataclass(frozen=True, slots=True)
class Fitting:
    """Sizes that fit.

    Attributes:
        full_sequences: how many sequences can be at their full length at once, at most the batch.
        tokens: of KV cache.
    """

    sizes: Sizes
    caps: Caps
    tokens: int
    full_sequences: int


def choose_sizes(at: Situation, asked: Asked, shaped: Shaped) -> Fitting:
    """The first sizes under which all sequences fit at full length, else those that fit at all.

    What was not asked for gives way: the length first, down to `LEAST_CONTEXT`, then the batch.

    Raises:
        PlanRefused: nothing that was asked for fits; the nearest that does is named.
    """
    tried = [
        fitting
        for batch, seq_len in _candidates(at, asked)
        if (fitting := fit(at, shaped(batch, seq_len), asked.caps)) is not None
    ]
    for fitting in tried:
        if fitting.full_sequences >= fitting.sizes.batch:
            return fitting
    if tried:
        return tried[0]
    raise _refusal(at, asked, shaped)


def fit(at: Situation, sizes: Sizes, caps: Caps | None) -> Fitting | None:
    """`sizes` with a limit on the pool, if at least one sequence fits at full length."""
    used = planned_caps(at, sizes) if caps is None else caps
    tokens = pool_tokens(at, sizes, used)
    least = at.kv_tokens(1, sizes.seq_len)
    if tokens < least or ledger(at, sizes, used).headroom_bytes < 0:
        return None
    if tokens >= at.kv_tokens(sizes.batch, sizes.seq_len):
        full = sizes.batch
    else:
        full = (tokens - BLOCK_TOKENS) // (least - BLOCK_TOKENS)
    return Fitting(sizes, used, tokens, min(full, sizes.batch))


def planned_caps(at: Situation, sizes: Sizes) -> Caps:
    """The limit that gives the sequences what they can use, and leaves the rest alone."""
    wanted = at.kv_tokens(sizes.batch, sizes.seq_len)
    states = at.slots(sizes.batch) * at.state_bytes if at.are_states_pooled else 0
    free = max(free_bytes(at, sizes), 0)
    if not at.gpu.is_memory_unified:
        return Caps(fraction=_fraction(wanted * at.kv_token_bytes + states, free))
    room = ledger(at, sizes, Caps(tokens=0)).headroom_bytes
    room = min(room, int(free * DEFAULT_FRACTION) - states)
    tokens = min(wanted, max(room, 0) // at.kv_token_bytes // BLOCK_TOKENS * BLOCK_TOKENS)
    if at.are_states_pooled:
        return Caps(pool_bytes=tokens * at.kv_token_bytes + states)
    return Caps(tokens=tokens)


def _fraction(needed: int, free: int) -> float:
    """The least step that holds what is needed and a tenth more."""
    percent = -(-needed * _MARGIN_PERCENT // max(free, 1))
    steps = -(-percent // _FRACTION_STEP_PERCENT)
    return min(steps * _FRACTION_STEP_PERCENT, LARGEST_FRACTION_PERCENT) / 100


def _candidates(at: Situation, asked: Asked) -> Iterator[tuple[int, int]]:
    batches = [asked.batch] if asked.batch else _halved(asked.most_batch, 1)
    longest = min(at.shape.longest_context, DEFAULT_CONTEXT)
    lengths = [asked.seq_len] if asked.seq_len else _halved(longest, min(LEAST_CONTEXT, longest))
    return ((batch, seq_len) for batch in batches for seq_len in lengths)


def _halved(largest: int, least: int) -> list[int]:
    numbers = [largest]
    while numbers[-1] // 2 >= least:
        numbers.append(numbers[-1] // 2)
    return numbers


def _refusal(at: Situation, asked: Asked, shaped: Shaped) -> PlanRefused:
    batch = asked.batch or 1
    seq_len = asked.seq_len or min(LEAST_CONTEXT, at.shape.longest_context)
    sizes = shaped(batch, seq_len)
    bill = ledger(at, sizes, asked.caps or planned_caps(at, sizes))
    largest = sorted(bill.lines, key=lambda line: -line.size_bytes)[:3]
    parts = ", ".join(f"{line.name} {gib(line.size_bytes)}" for line in largest)
    return PlanRefused(
        f"{at.checkpoint.name} does not fit on {at.target.name} with {batch} sequences of "
        f"{seq_len:,} tokens",
        evidence=f"needs {gib(bill.needed_bytes)} and room for one sequence's KV cache, there are "
        f"{gib(bill.memory_total_bytes)}; the largest parts: {parts}",
        next_step=_nearest(at, asked, shaped, batch, seq_len),
    )


def _nearest(at: Situation, asked: Asked, shaped: Shaped, batch: int, seq_len: int) -> str:
    """The most sequences that fit at this length, or the longest that fits for one."""

    def fits(many: int, tokens: int) -> bool:
        return fit(at, shaped(many, tokens), asked.caps) is not None

    most = _most(batch - 1, lambda many: fits(many, seq_len))
    if most:
        return f"Fits with --max-concurrency {most} --max-seq-len {seq_len}"
    longest = _most(seq_len - 1, lambda tokens: fits(1, tokens))
    if longest:
        return f"Fits with --max-concurrency 1 --max-seq-len {longest}"
    if asked.caps is not None:
        return "Leave the limit of the pool to the plan: do not set it."
    return "Use a checkpoint of lower precision, or a board with more memory."


def _most(largest: int, fits: Callable[[int], bool]) -> int:
    """The largest number up to `largest` that fits, where fitting ends once; 0 for none."""
    low, high = 0, largest
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low
