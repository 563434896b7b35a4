"""The tensors that a NemotronH network of a given shape consists of, by name and shape.

Two spellings: the one of `config.json` checkpoints (names as NVIDIA publishes them, without the
leading `backbone.` or `model.`) and the one of GGUF files. Pure functions; the readers compare
what they find with them, the ledger counts bytes with them, the converter writes by them.
"""

from collections.abc import Iterator

from trt_nemotron.deploy.shape import ExpertsShape, NemotronHShape
from trt_nemotron.errors import CheckpointUnusable

ARCHITECTURE = "nemotron_h"
"""What `config.json` calls the network, and GGUF files the dense one."""

Dimensions = tuple[int, ...]

HUB_OUTPUT = "lm_head.weight"
ROUTED_EXPERTS = ".mixer.experts."
"""Within the names of all tensors of routed experts, their scales included, and of no others."""
GGUF_OUTPUT = "output.weight"


def hub_tensors(shape: NemotronHShape) -> dict[str, Dimensions]:
    """Name -> shape as PyTorch writes it; every name but `lm_head.weight` takes a prefix."""
    tensors: dict[str, Dimensions] = {
        "embeddings.weight": (shape.vocab_size, shape.hidden_size),
        "norm_f.weight": (shape.hidden_size,),
    }
    if not shape.is_embedding_tied:
        tensors[HUB_OUTPUT] = (shape.vocab_size, shape.hidden_size)
    for index, kind in enumerate(shape.pattern):
        layer = f"layers.{index}."
        tensors[layer + "norm.weight"] = (shape.hidden_size,)
        for name, dimensions in _hub_mixer(shape, kind):
            tensors[layer + "mixer." + name] = dimensions
    return tensors


def gguf_tensors(shape: NemotronHShape) -> dict[str, Dimensions]:
    """Name -> dimensions as GGUF writes them: the row length first, the reverse of PyTorch.

    For dense networks: GGUF files with experts are refused where they are read and written.
    """
    tensors: dict[str, Dimensions] = {
        "token_embd.weight": (shape.hidden_size, shape.vocab_size),
        "output_norm.weight": (shape.hidden_size,),
    }
    if not shape.is_embedding_tied:
        tensors[GGUF_OUTPUT] = (shape.hidden_size, shape.vocab_size)
    for index, kind in enumerate(shape.pattern):
        block = f"blk.{index}."
        tensors[block + "attn_norm.weight"] = (shape.hidden_size,)
        for name, dimensions in _gguf_mixer(shape, kind):
            tensors[block + name] = dimensions
    return tensors


def refuse_inconsistent(shape: NemotronHShape, origin: str) -> None:
    """Refuse dimensions that contradict each other.

    Raises:
        CheckpointUnusable: naming the two.
    """
    pairs = (
        ("attention heads", shape.attention_heads, "KV heads", shape.kv_heads),
        ("Mamba heads", shape.mamba_heads, "SSM groups", shape.ssm_groups),
    )
    for name, number, divisor_name, divisor in pairs:
        if number % divisor:
            raise CheckpointUnusable(
                f"{origin} contradicts itself",
                evidence=f"{number} {name} are not a multiple of {divisor} {divisor_name}",
                next_step="Download it again.",
            )


def _hub_mixer(shape: NemotronHShape, kind: str) -> Iterator[tuple[str, Dimensions]]:
    hidden, inner, heads = shape.hidden_size, shape.mamba_inner_size, shape.mamba_heads
    if kind == "M":
        yield "in_proj.weight", (inner + shape.conv_channels + heads, hidden)
        yield "conv1d.weight", (shape.conv_channels, 1, shape.conv_kernel)
        yield "conv1d.bias", (shape.conv_channels,)
        yield "A_log", (heads,)
        yield "D", (heads,)
        yield "dt_bias", (heads,)
        yield "norm.weight", (inner,)
        yield "out_proj.weight", (hidden, inner)
    elif kind == "*":
        queries, keys = shape.attention_heads * shape.head_dim, shape.kv_heads * shape.head_dim
        yield "q_proj.weight", (queries, hidden)
        yield "k_proj.weight", (keys, hidden)
        yield "v_proj.weight", (keys, hidden)
        yield "o_proj.weight", (hidden, queries)
    elif shape.experts is not None and kind == "E":
        yield from _hub_experts(shape.experts, hidden)
    else:
        yield "up_proj.weight", (shape.intermediate_size, hidden)
        yield "down_proj.weight", (hidden, shape.intermediate_size)


def _hub_experts(experts: ExpertsShape, hidden: int) -> Iterator[tuple[str, Dimensions]]:
    """As published: experts one by one, though transformers holds them in one tensor."""
    yield "gate.weight", (experts.routed, hidden)
    yield "gate.e_score_correction_bias", (experts.routed,)
    width = experts.latent_size or hidden
    for index in range(experts.routed):
        yield f"experts.{index}.up_proj.weight", (experts.size, width)
        yield f"experts.{index}.down_proj.weight", (width, experts.size)
    yield "shared_experts.up_proj.weight", (experts.shared_size, hidden)
    yield "shared_experts.down_proj.weight", (hidden, experts.shared_size)
    if experts.latent_size is not None:
        yield "fc1_latent_proj.weight", (experts.latent_size, hidden)
        yield "fc2_latent_proj.weight", (hidden, experts.latent_size)


def _gguf_mixer(shape: NemotronHShape, kind: str) -> Iterator[tuple[str, Dimensions]]:
    hidden, inner, heads = shape.hidden_size, shape.mamba_inner_size, shape.mamba_heads
    if kind == "M":
        yield "ssm_in.weight", (hidden, inner + shape.conv_channels + heads)
        yield "ssm_conv1d.weight", (shape.conv_kernel, shape.conv_channels)
        yield "ssm_conv1d.bias", (shape.conv_channels,)
        yield "ssm_a", (1, heads)
        yield "ssm_d", (1, heads)
        yield "ssm_dt.bias", (heads,)
        yield "ssm_norm.weight", (inner // shape.ssm_groups, shape.ssm_groups)
        yield "ssm_out.weight", (inner, hidden)
    elif kind == "*":
        queries, keys = shape.attention_heads * shape.head_dim, shape.kv_heads * shape.head_dim
        yield "attn_q.weight", (hidden, queries)
        yield "attn_k.weight", (hidden, keys)
        yield "attn_v.weight", (hidden, keys)
        yield "attn_output.weight", (queries, hidden)
    else:
        yield "ffn_up.weight", (hidden, shape.intermediate_size)
        yield "ffn_down.weight", (shape.intermediate_size, hidden)
