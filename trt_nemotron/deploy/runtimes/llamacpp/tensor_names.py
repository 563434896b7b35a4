"""What each tensor of a published checkpoint is called in a GGUF file, and how it is stored there.

Sources: the loader of architecture `nemotron_h` in llama.cpp (src/llama-model.cpp, src/models/),
the name table of the `gguf` package 0.19.0, and loading the result.
"""

from dataclasses import dataclass
from typing import Literal

from trt_nemotron.deploy.shape import NemotronHShape

Transform = Literal["as_is", "decay_rate", "reshape"]
"""`decay_rate`: llama.cpp wants A itself, -exp(A_log). `reshape`: the same numbers in other
dimensions."""

_OUTSIDE = {
    "token_embd.weight": "embeddings.weight",
    "output_norm.weight": "norm_f.weight",
    "output.weight": "lm_head.weight",
}
_IN_LAYER: dict[str, dict[str, tuple[str, Transform]]] = {
    "M": {
        "ssm_in.weight": ("in_proj.weight", "as_is"),
        "ssm_conv1d.weight": ("conv1d.weight", "reshape"),
        "ssm_conv1d.bias": ("conv1d.bias", "as_is"),
        "ssm_a": ("A_log", "decay_rate"),
        "ssm_d": ("D", "reshape"),
        "ssm_dt.bias": ("dt_bias", "as_is"),
        "ssm_norm.weight": ("norm.weight", "reshape"),
        "ssm_out.weight": ("out_proj.weight", "as_is"),
    },
    "*": {
        "attn_q.weight": ("q_proj.weight", "as_is"),
        "attn_k.weight": ("k_proj.weight", "as_is"),
        "attn_v.weight": ("v_proj.weight", "as_is"),
        "attn_output.weight": ("o_proj.weight", "as_is"),
    },
    "-": {
        "ffn_up.weight": ("up_proj.weight", "as_is"),
        "ffn_down.weight": ("down_proj.weight", "as_is"),
    },
}


@dataclass(frozen=True, slots=True)
class Conversion:
    """One tensor to write: its GGUF name, where it comes from, what is done to it.

    Attributes:
        source: the published name without its leading `backbone.` or `model.`.
    """

    target: str
    source: str
    transform: Transform


def conversions(shape: NemotronHShape) -> tuple[Conversion, ...]:
    """Every tensor of the network, in the order in which a file holds them."""
    outside = [
        Conversion(target, source, "as_is")
        for target, source in _OUTSIDE.items()
        if not (shape.is_embedding_tied and target == "output.weight")
    ]
    inside = [
        conversion
        for index, kind in enumerate(shape.pattern)
        for conversion in _layer_conversions(index, kind)
    ]
    return (*outside, *inside)


def _layer_conversions(index: int, kind: str) -> list[Conversion]:
    block, layer = f"blk.{index}.", f"layers.{index}."
    norm = Conversion(f"{block}attn_norm.weight", f"{layer}norm.weight", "as_is")
    mixer = [
        Conversion(block + target, f"{layer}mixer.{source}", transform)
        for target, (source, transform) in _IN_LAYER[kind].items()
    ]
    return [norm, *mixer]
