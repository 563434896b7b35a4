"""What a NemotronH network takes in memory, as lines of a ledger: pure arithmetic.

Two things set the family apart. Only its attention layers have a KV cache (4 of the 4B model's 42
layers), and each sequence holds a state of fixed size in every Mamba layer, whether it has read ten
tokens or a hundred thousand. Byte counts are `int`; nothing is rounded.
"""

from trt_nemotron.deploy.checkpoint.ggml_types import GgmlType
from trt_nemotron.deploy.plan import LedgerLine
from trt_nemotron.deploy.shape import NemotronHShape
from trt_nemotron.facts.release import RuntimeRelease

F32_BYTES = 4


def weights_line(size_bytes: int, parameters: int, storage: str) -> LedgerLine:
    """The tensors as they are loaded, without headers and padding."""
    return LedgerLine(
        name="weights",
        size_bytes=size_bytes,
        formula=f"{parameters:,} parameters, {storage}",
        status="exact",
    )


def kv_cache_line(shape: NemotronHShape, tokens: int, storage: GgmlType) -> LedgerLine:
    """K and V of `tokens` tokens (all slots together) over the attention layers."""
    return LedgerLine(
        name="kv_cache",
        size_bytes=storage.size_bytes(shape.kv_elements_per_token * tokens),
        formula=f"2 (K, V) x {_layers(shape.attention_layers, 'attention')} x "
        f"{shape.kv_heads} KV heads x {shape.head_dim} x {tokens:,} tokens x "
        f"{_per_element(storage)}",
        status="exact",
    )


def ssm_state_line(shape: NemotronHShape, slots: int, element_bytes: int = F32_BYTES) -> LedgerLine:
    """The state of the selective scan of every sequence."""
    return LedgerLine(
        name="ssm_state",
        size_bytes=shape.ssm_elements_per_slot * slots * element_bytes,
        formula=f"{_layers(shape.mamba_layers, 'Mamba')} x {shape.mamba_heads} heads x "
        f"{shape.mamba_head_dim} x {shape.ssm_state_size} state x {_slots(slots)} x "
        f"{element_bytes} B",
        status="exact",
    )


def conv_state_line(
    shape: NemotronHShape, slots: int, element_bytes: int = F32_BYTES
) -> LedgerLine:
    """The last inputs of the causal convolution of every sequence."""
    return LedgerLine(
        name="conv_state",
        size_bytes=shape.conv_elements_per_slot * slots * element_bytes,
        formula=f"{_layers(shape.mamba_layers, 'Mamba')} x {shape.conv_channels:,} channels x "
        f"({shape.conv_kernel} - 1) x {_slots(slots)} x {element_bytes} B",
        status="exact",
    )


def reserve_line(reserve_bytes: int, memory_total_bytes: int) -> LedgerLine:
    """What is left to the operating system: the target's figure, a quarter of small machines."""
    quarter = memory_total_bytes // 4
    is_small = quarter < reserve_bytes
    return LedgerLine(
        name="reserve",
        size_bytes=min(reserve_bytes, quarter),
        formula="a quarter of this machine's memory" if is_small else "the target's reserve",
        status="assumed",
    )


def process_line(shape: NemotronHShape, release: RuntimeRelease, process: str) -> LedgerLine:
    """The process itself and its vocabulary, as measured for the release; `process` names it."""
    process_bytes = int(release.figures["process_bytes"].value)
    per_entry = int(release.figures["vocabulary_entry_bytes"].value)
    return LedgerLine(
        name="runtime_overhead",
        size_bytes=process_bytes + per_entry * shape.vocab_size,
        formula=f"{process_bytes >> 20} MiB {process} + {shape.vocab_size:,} vocabulary entries x "
        f"{per_entry} B",
        status="assumed",
    )


def state_bytes_per_slot(shape: NemotronHShape, element_bytes: int = F32_BYTES) -> int:
    """SSM and convolution state of one sequence."""
    return (shape.ssm_elements_per_slot + shape.conv_elements_per_slot) * element_bytes


def _layers(count: int, kind: str) -> str:
    return f"{count} {kind} layer" + ("" if count == 1 else "s")


def _slots(count: int) -> str:
    return f"{count} slot" + ("" if count == 1 else "s")


def _per_element(storage: GgmlType) -> str:
    if storage.block_elements == 1:
        return f"{storage.block_bytes} B"
    return f"{storage.block_bytes}/{storage.block_elements} B"
