"""Mamba-2's scan and convolution in forms that train faster, with the same results.

`transformers` falls back to a chunked scan in plain PyTorch, made for long inputs and whole
states. Lessons are short and need no state, so the quadratic ("attention") form of the same
sum does (Dao and Gu 2024, https://arxiv.org/abs/2405.21060, section 6). A causal depthwise
convolution of width four is four shifted products.

Both agree with the library's versions to float32 rounding; a test holds that.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional
from transformers.models.nemotron_h import modeling_nemotron_h as library


def quadratic_scan(  # noqa: PLR0917 - called with the library's positions
    hidden_states: torch.Tensor,
    dt: torch.Tensor,
    A: torch.Tensor,  # noqa: N803 - the library's names
    B: torch.Tensor,  # noqa: N803
    C: torch.Tensor,  # noqa: N803
    chunk_size: int,
    D: torch.Tensor,  # noqa: N803
    dt_bias: torch.Tensor,
    *,
    return_final_states: bool = False,
    initial_states: torch.Tensor | None = None,
    **_: Any,
) -> torch.Tensor:
    """The scan's output for a whole input as one chunk, in O(length^2) time and memory.

    Args:
        hidden_states: inputs x, (batch, length, heads, head_dim).
        dt: time steps before bias and softplus, (batch, length, heads).
        A: decay rates, negative, (heads,).
        B: input projections, (batch, length, groups, state).
        C: output projections, (batch, length, groups, state).
        chunk_size: ignored: the input is one chunk.
        D: skip weights, (heads,).
        dt_bias: added to `dt`, (heads,).
        return_final_states: must be false: this form has no states.
        initial_states: must be none, likewise.
    """
    if return_final_states or initial_states is not None:
        raise ValueError("the quadratic form of the scan carries no state")
    batch, length, heads = hidden_states.shape[:3]
    groups = B.shape[2]
    steps = functional.softplus(dt + dt_bias)
    log_decay = (steps * A).cumsum(dim=1).transpose(1, 2)  # (batch, heads, length)
    distance = log_decay[..., :, None] - log_decay[..., None, :]
    future = torch.ones(length, length, dtype=torch.bool).triu(diagonal=1)
    decay = distance.masked_fill(future, -torch.inf).exp()
    overlap = C.transpose(1, 2) @ B.permute(0, 2, 3, 1)  # (batch, groups, length, length)
    weights = decay.view(batch, groups, heads // groups, length, length) * overlap[:, :, None]
    inputs = (hidden_states * steps[..., None]).transpose(1, 2)
    mixed = weights.view(batch, heads, length, length) @ inputs
    return mixed.transpose(1, 2) + hidden_states * D[:, None]


def shifted_convolution(
    hidden_states: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    activation: str,
    **_: Any,
) -> torch.Tensor:
    """The causal depthwise convolution of (batch, channels, length), then SiLU."""
    if activation != "silu":
        raise ValueError(f"activation {activation!r} has no fast form")
    length, width = hidden_states.shape[-1], weight.shape[-1]
    padded = functional.pad(hidden_states, (width - 1, 0))
    total = bias[:, None]
    for tap in range(width):
        total = total + padded[..., tap : tap + length] * weight[:, tap, None]
    return functional.silu(total)


@contextmanager
def fast_scan() -> Iterator[None]:
    """Within, `transformers` uses this module's forms; forward passes without a cache only."""
    originals = library.mamba2_chunk_scan, library.causal_conv1d_fn
    library.mamba2_chunk_scan, library.causal_conv1d_fn = quadratic_scan, shifted_convolution
    try:
        yield
    finally:
        library.mamba2_chunk_scan, library.causal_conv1d_fn = originals
