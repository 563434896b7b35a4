"""Edge-LLM's three plugin operators of NemotronH, in NumPy: what the kernels have to compute.

Written from the published equations: Mamba-2 (https://arxiv.org/abs/2405.21060), a causal
depthwise convolution, and causal attention with grouped queries. Layouts are those of the exported
graph: tokens of all sequences lie one after another (`query_start_offsets` says where each starts),
states in rows (`state_indices`), keys and values in pages of 128 tokens (`kv_page_table`).
Computed in FP32; what leaves an operator has the type of its input, as in the graph.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

PAGE_TOKENS = 128
DOMAIN = "trt_edgellm"

Array = Any


def causal_conv1d(*inputs: Array, **_attributes: Any) -> tuple[Array, Array]:
    """`causal_conv1d`: each channel's last inputs, weighted; the state keeps the last ones."""
    x, weight, bias, state, _lengths, offsets, rows, *_ = inputs
    taps = weight.shape[-1]
    kernel = weight.astype(np.float32)[:, 0, :]
    y, new_state = np.empty(x.shape, np.float32), state.copy()
    for index, span in _spans(offsets):
        row = rows[index]
        before = state[row].astype(np.float32).T
        line = np.concatenate([before, x[span].astype(np.float32)])
        count = line.shape[0] - before.shape[0]
        first = before.shape[0] - (taps - 1)
        y[span] = bias.astype(np.float32) + sum(
            line[first + tap : first + tap + count] * kernel[:, tap] for tap in range(taps)
        )
        new_state[row] = line[-before.shape[0] :].T.astype(state.dtype)
    return y.astype(x.dtype), new_state


def update_ssm_state(
    *inputs: Array, dt_softplus: int = 0, **_attributes: Any
) -> tuple[Array, Array]:
    """`update_ssm_state`: the selective scan of Mamba-2, token by token."""
    x, a, b, c, d, dt, dt_bias, state, _lengths, offsets, rows, *_ = inputs
    heads, repeat = x.shape[-2], x.shape[-2] // b.shape[-2]
    step = dt.astype(np.float32) + dt_bias.astype(np.float32)
    if dt_softplus:
        step = np.logaddexp(step, np.float32(0))
    decay = np.exp(step * a.astype(np.float32).reshape(heads))
    taken = x.astype(np.float32)
    keys = np.repeat(b.astype(np.float32), repeat, axis=-2)
    queries = np.repeat(c.astype(np.float32), repeat, axis=-2)
    y, new_state = np.empty(x.shape, np.float32), state.copy()
    skip = d.astype(np.float32).reshape(heads, 1)
    for index, span in _spans(offsets):
        held = state[rows[index]].astype(np.float32)
        for token in range(span.start, span.stop):
            update = (step[token][:, None] * taken[token])[:, :, None] * keys[token][:, None]
            held = held * decay[token][:, None, None] + update
            y[token] = np.einsum("hpn,hn->hp", held, queries[token]) + skip * taken[token]
        new_state[rows[index]] = held.astype(state.dtype)
    return y.astype(x.dtype), new_state


def attention(*inputs: Array, attention_scale: float, **sizes: Any) -> tuple[Array, Array]:
    """`AttentionPlugin`: writes keys and values into their pages, then attends causally.

    Pages of keys come first in the pool, so that pages of values are numbered from their count on.
    """
    qkv, pages, _lengths, _rope, past, table, offsets, *_ = inputs
    heads, groups, size = sizes["num_q_heads"], sizes["num_kv_heads"], sizes["head_size"]
    packed = qkv.reshape(qkv.shape[0], heads + 2 * groups, size)
    pool = pages.reshape(-1, *pages.shape[2:]).copy()
    out = np.empty((qkv.shape[0], heads, size), np.float32)
    for index, span in _spans(offsets):
        start = int(past[index])
        places = np.arange(start, start + span.stop - span.start)
        for kind, first in ((0, heads), (1, heads + groups)):
            page = table[index, kind, places // PAGE_TOKENS]
            new = packed[span, first : first + groups].astype(pages.dtype)
            pool[page, places % PAGE_TOKENS] = new
        keys, values = (
            _read_pages(pool, table[index, kind], start + len(places)) for kind in (0, 1)
        )
        out[span] = _attend(packed[span, :heads], keys, values, places, attention_scale)
    return out.astype(qkv.dtype), pool.reshape(pages.shape)


def _spans(offsets: Array) -> Iterator[tuple[int, slice]]:
    """Where each sequence's tokens lie."""
    for index in range(len(offsets) - 1):
        yield index, slice(int(offsets[index]), int(offsets[index + 1]))


def _read_pages(pages: Array, table: Array, tokens: int) -> Array:
    places = np.arange(tokens)
    return pages[table[places // PAGE_TOKENS], places % PAGE_TOKENS].astype(np.float32)


def _attend(queries: Array, keys: Array, values: Array, places: Array, scale: float) -> Array:
    repeat = queries.shape[1] // keys.shape[1]
    keys, values = np.repeat(keys, repeat, axis=1), np.repeat(values, repeat, axis=1)
    scores = np.einsum("qhd,khd->hqk", queries.astype(np.float32), keys) * scale
    is_future = np.arange(keys.shape[0])[None, :] > places[:, None]
    scores = np.where(is_future[None], -np.inf, scores)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return np.einsum("hqk,khd->qhd", weights, values)


OPERATORS: dict[str, Callable[..., tuple[Array, Array]]] = {
    "causal_conv1d": causal_conv1d,
    "update_ssm_state": update_ssm_state,
    "AttentionPlugin": attention,
}
"""By the name that the graph calls them by."""
