"""What `trtllm-serve` takes in memory for a NemotronH model, in bytes.

Exact: weights, states with the release's dummy slot, and the KV cache that the sequences can use.
Assumed, until a start-up has been measured (`measured`): workspace and graphs. Assumed for good:
autotuner and, on a board that shares memory with the host, the server's processes and the page
cache.
"""

import math
from dataclasses import dataclass

from trt_nemotron.deploy.memory import conv_state_line, reserve_line, ssm_state_line, weights_line
from trt_nemotron.deploy.plan import Ledger, LedgerLine
from trt_nemotron.deploy.runtimes.trtllm.measured import Measured
from trt_nemotron.deploy.runtimes.trtllm.situation import Situation
from trt_nemotron.facts.configuration.rules import generated_sizes

DEFAULT_FRACTION = 0.9
"""`free_gpu_memory_fraction` where nothing is said."""

_LOGIT_BYTES = 4
_LOGIT_COPIES = 2


@dataclass(frozen=True, slots=True)
class Caps:
    """Limits of the pool; of those given the smallest counts.

    Attributes:
        fraction: of what is free once the weights are loaded and a step was tried.
        tokens: of KV cache.
        pool_bytes: of KV cache, and of states where they share a pool.
    """

    fraction: float | None = None
    tokens: int | None = None
    pool_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Sizes:
    """What memory follows from.

    Attributes:
        graphs: sizes for which a CUDA graph is captured.
    """

    batch: int
    seq_len: int
    step_tokens: int
    graphs: tuple[int, ...]


def graph_sizes(batch: int, *, has_padding: bool) -> tuple[int, ...]:
    """Sizes that the server generates for graphs up to `batch`."""
    return tuple(generated_sizes(batch, has_padding))


def free_bytes(at: Situation, sizes: Sizes) -> int:
    """What a fraction is taken of: free memory with weights loaded and a step's workspace held."""
    taken = (_weights(at), _workspace(at, sizes), _reserve(at), *_shared_with_host(at))
    return at.memory_bytes - sum(line.size_bytes for line in taken)


def pool_bytes(at: Situation, sizes: Sizes, caps: Caps) -> int:
    """Bytes that the server takes for its pool under `caps`."""
    states = _state_bytes(at, sizes.batch) if at.are_states_pooled else 0
    fraction = DEFAULT_FRACTION if caps.fraction is None else caps.fraction
    limits = [int(max(free_bytes(at, sizes), 0) * fraction)]
    if caps.tokens is not None:
        limits.append(caps.tokens * at.kv_token_bytes + states)
    if caps.pool_bytes:
        limits.append(caps.pool_bytes)
    return min(limits)


def pool_tokens(at: Situation, sizes: Sizes, caps: Caps) -> int:
    """Tokens of KV cache that the pool holds beside its states; below 0 when these do not fit."""
    states = _state_bytes(at, sizes.batch) if at.are_states_pooled else 0
    return (pool_bytes(at, sizes, caps) - states) // max(at.kv_token_bytes, 1)


def ledger(at: Situation, sizes: Sizes, caps: Caps) -> Ledger:
    """Every line, what is exact first."""
    wanted = at.kv_tokens(sizes.batch, sizes.seq_len)
    tokens = max(pool_tokens(at, sizes, caps), 0)
    used = min(tokens, wanted)
    slots = at.slots(sizes.batch)
    states = _state_bytes(at, sizes.batch) if at.are_states_pooled else 0
    spare = pool_bytes(at, sizes, caps) - states - used * at.kv_token_bytes
    lines = (
        _weights(at),
        _kv_line(at, used),
        ssm_state_line(at.shape, slots, at.ssm_element_bytes),
        conv_state_line(at.shape, slots, at.activation_bytes),
        _workspace(at, sizes),
        _graphs(at, sizes),
        _autotuner(at),
        *_shared_with_host(at),
        *((_spare_line(spare),) if spare >= at.kv_token_bytes else ()),
        _reserve(at),
    )
    return Ledger(lines=lines, memory_total_bytes=at.memory_bytes)


def _state_bytes(at: Situation, batch: int) -> int:
    return at.slots(batch) * at.state_bytes


def _weights(at: Situation) -> LedgerLine:
    checkpoint = at.checkpoint
    storage = " + ".join(f"{group.tensors} tensors {group.storage}" for group in checkpoint.groups)
    line = weights_line(checkpoint.weight_bytes, checkpoint.parameters, storage)
    if checkpoint.files:
        return line
    formula = f"{line.formula}, from published facts"
    return LedgerLine(name=line.name, size_bytes=line.size_bytes, formula=formula, status="assumed")


def _kv_line(at: Situation, tokens: int) -> LedgerLine:
    return LedgerLine(
        name="kv_cache",
        size_bytes=tokens * at.kv_token_bytes,
        formula=f"{tokens:,} tokens x {at.kv_token_bytes:,} B (2 (K, V) x "
        f"{at.shape.attention_layers} attention layers x {at.shape.kv_heads} KV heads x "
        f"{at.shape.head_dim})",
        status="exact",
    )


def _spare_line(size_bytes: int) -> LedgerLine:
    return LedgerLine(
        name="kv_spare",
        size_bytes=size_bytes,
        formula="what the limit lets the pool take beyond the sequences' need",
        status="assumed",
    )


def _workspace(at: Situation, sizes: Sizes) -> LedgerLine:
    """Activations of one step: the widest layer, the scan's chunk states, logits of the batch."""
    measured = at.measured
    if measured is not None and measured.workspace_bytes and _is_measured_step(measured, sizes):
        return LedgerLine(
            name="workspace",
            size_bytes=measured.workspace_bytes,
            formula=f"what a start took for a step of {sizes.step_tokens:,} tokens",
            status="measured",
        )
    shape = at.shape
    projection = shape.mamba_inner_size + shape.conv_channels + shape.mamba_heads
    mamba = 2 * projection + shape.conv_channels + 2 * shape.mamba_inner_size
    attention = 2 * (shape.attention_heads + 2 * shape.kv_heads) * shape.head_dim
    row = 3 * shape.hidden_size + max(mamba, attention, 2 * shape.widest_mlp)
    chunks = math.ceil(sizes.step_tokens / (shape.chunk_size or 256))
    states = chunks * shape.mamba_inner_size * shape.ssm_state_size * 4
    logits = _LOGIT_COPIES * sizes.batch * shape.vocab_size * _LOGIT_BYTES
    return LedgerLine(
        name="workspace",
        size_bytes=sizes.step_tokens * row * at.activation_bytes + states + logits,
        formula=f"{sizes.step_tokens:,} tokens x {row:,} x {at.activation_bytes} B + {chunks} "
        f"chunk states + {sizes.batch} x {shape.vocab_size:,} logits, an estimate",
        status="assumed",
    )


def _is_measured_step(measured: Measured, sizes: Sizes) -> bool:
    """A step is as large as its tokens; the logits of a smaller batch are fewer."""
    return measured.step_tokens == sizes.step_tokens and measured.batch >= sizes.batch


def _graphs(at: Situation, sizes: Sizes) -> LedgerLine:
    measured = at.measured
    if measured is not None and measured.outside_bytes and measured.graphs == len(sizes.graphs):
        return LedgerLine(
            name="cuda_graphs",
            size_bytes=measured.outside_bytes,
            formula=f"what a start took outside of PyTorch: context, libraries and "
            f"{measured.graphs} graphs",
            status="measured",
        )
    each = at.figure("graph_bytes")
    return LedgerLine(
        name="cuda_graphs",
        size_bytes=len(sizes.graphs) * each,
        formula=f"{len(sizes.graphs)} graphs x {each >> 20} MiB",
        status="assumed",
    )


def _autotuner(at: Situation) -> LedgerLine:
    return LedgerLine(
        name="autotuner",
        size_bytes=at.figure("autotuner_bytes"),
        formula="scratch space while kernels are tried at start",
        status="assumed",
    )


def _shared_with_host(at: Situation) -> tuple[LedgerLine, ...]:
    """What a board that shares its memory holds besides."""
    if not at.gpu.is_memory_unified:
        return ()
    return (
        LedgerLine(
            name="page_cache",
            size_bytes=at.checkpoint.weight_bytes,
            formula="the weights' files once more, read through the page cache",
            status="assumed",
        ),
        LedgerLine(
            name="processes",
            size_bytes=at.figure("process_bytes"),
            formula="the server's processes, in the memory that host and device share",
            status="assumed",
        ),
    )


def _reserve(at: Situation) -> LedgerLine:
    return reserve_line(int(at.target.reserve_bytes.value), at.memory_bytes)
