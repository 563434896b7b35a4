"""What llama.cpp's server takes in memory for a NemotronH model on a CPU.

Checked against the buffer sizes that the server of xllamacpp 2026.10.11549 prints at start
(tests/deploy/runtimes/llamacpp/test_ledger.py): weights, KV cache and states agree to the printed
rounding; the compute buffer is an estimate, `assumed`: never below, at most 15 % above.
"""

import math
from dataclasses import dataclass

from trt_nemotron.deploy.checkpoint.architecture import gguf_tensors
from trt_nemotron.deploy.checkpoint.ggml_types import GgmlType
from trt_nemotron.deploy.checkpoint.values import Checkpoint, TensorGroup
from trt_nemotron.deploy.memory import (
    F32_BYTES,
    conv_state_line,
    kv_cache_line,
    process_line,
    ssm_state_line,
    state_bytes_per_slot,
    weights_line,
)
from trt_nemotron.deploy.plan import LedgerLine
from trt_nemotron.deploy.runtimes.llamacpp.storage import Precision, storage_type
from trt_nemotron.deploy.shape import NemotronHShape, round_up
from trt_nemotron.facts.release import RuntimeRelease

CONTEXT_MULTIPLE = 256
"""llama.cpp pads a slot's context to a multiple of this (`GGML_PAD(n_ctx_seq, 256)`)."""

MEBIBYTE = 1 << 20

_REPACKED = {
    "x86_64": ("Q4_0", "Q4_K", "Q2_K", "IQ4_NL", "MXFP4"),
    "aarch64": ("Q4_0", "Q4_K", "Q2_K", "Q5_K", "Q6_K", "Q8_0", "IQ4_NL", "MXFP4"),
}
"""Types that ggml may copy into another layout for the processor's vector instructions, beside the
mapped file: `ggml_repack_get_optimal_repack_type` in ggml-cpu/repack.cpp."""

_MASK_BYTES = 2
_STATIC_GRAPH_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class ServerSizes:
    """The settings that memory follows from.

    Attributes:
        context_per_slot: tokens, a multiple of `CONTEXT_MULTIPLE`.
        micro_batch_tokens: tokens computed at once while reading a prompt.
        state_checkpoints: saved states a slot may keep.
        prompt_cache_bytes: what past prompts may take.
    """

    slots: int
    context_per_slot: int
    micro_batch_tokens: int
    kv_storage: GgmlType
    state_checkpoints: int
    prompt_cache_bytes: int

    @property
    def context_total(self) -> int:
        """Tokens of all slots together, as llama.cpp counts `n_ctx`."""
        return self.slots * self.context_per_slot


def padded_context(tokens: int) -> int:
    """The context that llama.cpp really gives to a slot that asks for `tokens`."""
    return round_up(tokens, CONTEXT_MULTIPLE)


def stored_groups(checkpoint: Checkpoint, precision: Precision | None) -> tuple[TensorGroup, ...]:
    """Tensors by storage type as the server loads them; `None` leaves a GGUF as it is."""
    if precision is None:
        return checkpoint.groups
    totals: dict[str, list[int]] = {}
    for name, dimensions in gguf_tensors(checkpoint.shape).items():
        storage = storage_type(name, dimensions, precision)
        elements = math.prod(dimensions)
        total = totals.setdefault(storage.name, [0, 0, 0])
        for place, amount in enumerate((1, elements, storage.size_bytes(elements))):
            total[place] += amount
    return tuple(
        TensorGroup(storage=storage, tensors=count, elements=elements, size_bytes=size_bytes)
        for storage, (count, elements, size_bytes) in totals.items()
    )


def server_lines(
    shape: NemotronHShape,
    groups: tuple[TensorGroup, ...],
    sizes: ServerSizes,
    architecture: str,
    release: RuntimeRelease,
) -> tuple[LedgerLine, ...]:
    """Every line but the reserve; lines of zero bytes that mean nothing are left out."""
    optional = (
        _repacked_line(groups, architecture),
        _checkpoints_line(shape, sizes),
        _prompt_cache_line(sizes),
    )
    return (
        _weights(groups),
        kv_cache_line(shape, sizes.context_total, sizes.kv_storage),
        ssm_state_line(shape, sizes.slots),
        conv_state_line(shape, sizes.slots),
        _compute_line(shape, sizes),
        _output_line(shape, sizes),
        *(line for line in optional if line.size_bytes),
        process_line(shape, release, "process"),
    )


def _weights(groups: tuple[TensorGroup, ...]) -> LedgerLine:
    storage = " + ".join(f"{group.tensors} tensors {group.storage}" for group in groups)
    return weights_line(
        sum(group.size_bytes for group in groups), sum(group.elements for group in groups), storage
    )


def _compute_line(shape: NemotronHShape, sizes: ServerSizes) -> LedgerLine:
    """Scratch space of one micro-batch.

    The widest moment is inside a Mamba layer: five rows of the hidden size, the input projection,
    the convolution's input and output and the scan's output, each in f32 for every token of the
    micro-batch; for every slot one layer's state, and its convolution state twice; and the
    attention mask. Fitted to the server's own report over eight shapes, 1 to 4 slots, contexts of
    256 to 32,768 and micro-batches of 256 to 1,024 tokens on 2026-11-23. Supposed are flash
    attention, without which the scores of all heads would be added, and an f16 or q8_0 cache: an
    f32 one is copied to f16 here.
    """
    tokens = min(sizes.micro_batch_tokens, sizes.context_total)
    projection = shape.mamba_inner_size + shape.conv_channels + shape.mamba_heads
    mamba_row = projection + 2 * shape.conv_channels + shape.mamba_inner_size
    other_row = max(
        2 * shape.intermediate_size, 3 * (shape.attention_heads + shape.kv_heads) * shape.head_dim
    )
    row = 5 * shape.hidden_size + max(mamba_row, other_row)
    conv_state = shape.conv_channels * (shape.conv_kernel - 1)
    layer_state = shape.mamba_inner_size * shape.ssm_state_size + 2 * conv_state
    mask = _MASK_BYTES * sizes.context_per_slot
    return LedgerLine(
        name="compute",
        size_bytes=F32_BYTES * (tokens * row + sizes.slots * layer_state)
        + tokens * mask
        + _STATIC_GRAPH_BYTES,
        formula=f"{tokens} tokens x ({row:,} x 4 B + {sizes.context_per_slot:,} x 2 B mask) + "
        f"{sizes.slots} x {layer_state:,} x 4 B, an estimate",
        status="assumed",
    )


def _output_line(shape: NemotronHShape, sizes: ServerSizes) -> LedgerLine:
    return LedgerLine(
        name="output",
        size_bytes=sizes.slots * shape.vocab_size * F32_BYTES,
        formula=f"{sizes.slots} x {shape.vocab_size:,} logits x 4 B",
        status="exact",
    )


def _repacked_line(groups: tuple[TensorGroup, ...], architecture: str) -> LedgerLine:
    kinds = _REPACKED.get(architecture, _REPACKED["aarch64"])
    found = [group for group in groups if group.storage in kinds]
    names = ", ".join(group.storage for group in found)
    return LedgerLine(
        name="repacked_weights",
        size_bytes=sum(group.size_bytes for group in found),
        formula=f"at most a second copy of the {names} tensors, laid out for this processor",
        status="assumed",
    )


def _checkpoints_line(shape: NemotronHShape, sizes: ServerSizes) -> LedgerLine:
    """A state checkpoint is a copy of a slot's recurrent state on the heap."""
    per_slot = state_bytes_per_slot(shape)
    return LedgerLine(
        name="state_checkpoints",
        size_bytes=sizes.slots * sizes.state_checkpoints * per_slot,
        formula=f"{sizes.slots} slots x {sizes.state_checkpoints} x {per_slot:,} B of state",
        status="assumed",
    )


def _prompt_cache_line(sizes: ServerSizes) -> LedgerLine:
    return LedgerLine(
        name="prompt_cache",
        size_bytes=sizes.prompt_cache_bytes,
        formula=f"at most {sizes.prompt_cache_bytes // MEBIBYTE} MiB of past prompts",
        status="assumed",
    )
