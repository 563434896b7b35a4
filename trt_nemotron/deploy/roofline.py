"""The roofline of decoding: the least time a step can take on a board, from bytes and bandwidth.

Every step reads the weights once for the whole batch, and for each sequence reads and writes its
recurrent state and reads its KV cache:

    step >= (weights + batch x (2 x state + context x KV)) / bandwidth

The token embeddings are not read whole: a step gathers one row for each sequence, which is left
out. Of a mixture of experts a step reads at least those that one token visits, so of the routed
weights their share is counted, whatever the batch:

    weights = all - embeddings - routed x (1 - visited / experts)

A batch visits more of them, up to all. Everything left out (rows, activations, logits, launches)
only adds time, so the floor stays a floor. Caches could beat it where the weights fit into one; see
`LEAST_WEIGHT_BYTES`.
"""

from collections.abc import Sequence
from typing import Literal

from trt_nemotron.document import Value
from trt_nemotron.facts.target import Gpu

LEAST_WEIGHT_BYTES = 1 << 30
"""Below this the weights may stay in a board's cache (50 MB on H100), and bandwidth bounds nothing:
no roofline is drawn. Above it a cache holds under 5 % of what a step reads."""

LOWEST_PUBLISHED_SHARE = 0.56
"""Least share of the ceiling that public measurements of memory-bound decoding of this model reach:
llama.cpp with Q4_K_M on Jetson T5000, one stream (docs/rooflines.md). Plans expect no more."""


class RooflinePoint(Value, frozen=True, kw_only=True):
    """One place under the roof.

    Attributes:
        concurrency: sequences decoded together.
        context_tokens: tokens that each of them attends to.
        least_step_ms: no decode step can be shorter.
        most_tokens_s: no aggregate rate can be higher.
    """

    concurrency: int
    context_tokens: int
    least_step_ms: float
    most_tokens_s: float


class Roofline(Value, frozen=True, kw_only=True):
    """What a step moves, and the points that follow from it.

    Attributes:
        bandwidth_gb_s: of the board's memory, in 10^9 bytes a second.
        weight_bytes: weights that a step reads.
        state_bytes: recurrent state of one sequence, read and written by a step.
        kv_token_bytes: KV cache of one token, read by a step.
        basis: `files` when the weights were read from headers, `facts` when only their published
            form is known, so that the roof may stand too low.
        source: of the bandwidth.
    """

    bandwidth_gb_s: float
    weight_bytes: int
    state_bytes: int
    kv_token_bytes: int
    points: tuple[RooflinePoint, ...] = ()
    basis: Literal["files", "facts"] = "files"
    source: str = ""

    def step_bytes(self, concurrency: int, context_tokens: int) -> int:
        """Bytes that one step cannot avoid to move."""
        per_sequence = 2 * self.state_bytes + context_tokens * self.kv_token_bytes
        return self.weight_bytes + concurrency * per_sequence

    def least_step_ms(self, concurrency: int, context_tokens: int) -> float:
        """The least time of one step, in milliseconds."""
        return self.step_bytes(concurrency, context_tokens) / (self.bandwidth_gb_s * 1e6)

    def most_tokens_s(self, concurrency: int, context_tokens: int) -> float:
        """The highest aggregate rate, in tokens a second."""
        return concurrency * 1e3 / self.least_step_ms(concurrency, context_tokens)

    def point(self, concurrency: int, context_tokens: int) -> RooflinePoint:
        """Both figures, kept to a microsecond and a hundredth of a token; never on the tight side.

        Rounding goes towards what is possible: the step down, the rate up.
        """
        step = self.least_step_ms(concurrency, context_tokens)
        rate = self.most_tokens_s(concurrency, context_tokens)
        return RooflinePoint(
            concurrency=concurrency,
            context_tokens=context_tokens,
            least_step_ms=int(step * 1e3) / 1e3,
            most_tokens_s=-int(-rate * 1e2 // 1) / 1e2,
        )


def draw_roofline(
    gpu: Gpu,
    *,
    weight_bytes: int,
    state_bytes: int,
    kv_token_bytes: int,
    concurrencies: Sequence[int],
    contexts: Sequence[int],
    basis: Literal["files", "facts"] = "files",
) -> Roofline | None:
    """The roofline of a board; nothing for weights so small that a cache may hold them.

    Args:
        gpu: the board.
        weight_bytes: weights that a step reads at least (`Checkpoint.least_read_bytes`).
        state_bytes: recurrent state of one sequence.
        kv_token_bytes: KV cache of one token over all attention layers.
        concurrencies: where to draw points.
        contexts: where to draw points.
        basis: where `weight_bytes` comes from.
    """
    if weight_bytes < LEAST_WEIGHT_BYTES:
        return None
    bare = Roofline(
        bandwidth_gb_s=float(gpu.bandwidth_gb_s.value),
        weight_bytes=weight_bytes,
        state_bytes=state_bytes,
        kv_token_bytes=kv_token_bytes,
    )
    return Roofline(
        bandwidth_gb_s=bare.bandwidth_gb_s,
        weight_bytes=weight_bytes,
        state_bytes=state_bytes,
        kv_token_bytes=kv_token_bytes,
        points=tuple(bare.point(many, tokens) for tokens in contexts for many in concurrencies),
        basis=basis,
        source=f"{gpu.bandwidth_gb_s.status}: {gpu.bandwidth_gb_s.source}",
    )


def concurrencies_up_to(most: int) -> tuple[int, ...]:
    """1, 2, 4, ... and `most` itself."""
    powers = [1 << place for place in range(most.bit_length()) if 1 << place < most]
    return (*powers, most)


def contexts_up_to(most: int) -> tuple[int, ...]:
    """2,048, 8,192, 32,768, ... and `most` itself."""
    steps = [2048 << (2 * place) for place in range(8) if 2048 << (2 * place) < most]
    return (*steps, most)
