"""Attention without positions (the family has no rotary embedding), over a cache of fixed size.

New keys and values are written to their places in the cache; queries look at the whole cache
through a mask. Queries that share a KV head are stacked, so that the cache is never repeated.
"""

from trt_nemotron.deploy.compile.layers.sequence import Sequence
from trt_nemotron.deploy.compile.spec import GraphSpec
from trt_nemotron.deploy.compile.writer import GraphWriter

_HIDDEN_SCORE = -1e30
"""Of a place that must not be seen; its exponential is 0 in f32, and it is no infinity."""


def attention(
    graph: GraphWriter, spec: GraphSpec, index: int, value: str, sequence: Sequence
) -> str:
    """Of `value` (batch, tokens, hidden); gives the outputs `present_key` and `present_value`."""
    layer, shape = f"layers.{index}.mixer", spec.shape
    queries, sharing = shape.attention_heads, shape.attention_heads // shape.kv_heads
    query = _heads(graph, value, f"{layer}.q_proj", queries, shape.head_dim)
    new_key = _heads(graph, value, f"{layer}.k_proj", shape.kv_heads, shape.head_dim)
    new_value = _heads(graph, value, f"{layer}.v_proj", shape.kv_heads, shape.head_dim)
    key = _cached(graph, new_key, f"key_{index}", sequence)
    cached = _cached(graph, new_value, f"value_{index}", sequence)
    stacked = graph.reshape(query, 0, shape.kv_heads, -1, shape.head_dim)
    scores = graph.wide(graph.add("MatMul", stacked, graph.transpose(key, 0, 1, 3, 2)))
    scores = graph.add("Mul", scores, graph.real(shape.head_dim**-0.5))
    apart = graph.reshape(scores, 0, shape.kv_heads, sharing, -1, spec.max_seq_len)
    masked = graph.add("Where", sequence.is_cached, apart, graph.real(_HIDDEN_SCORE))
    weights = graph.narrow(graph.add("Softmax", masked, axis=-1))
    weights = graph.reshape(weights, 0, shape.kv_heads, -1, spec.max_seq_len)
    mixed = graph.add("MatMul", weights, cached)
    mixed = graph.transpose(graph.reshape(mixed, 0, queries, -1, shape.head_dim), 0, 2, 1, 3)
    joined = graph.reshape(mixed, 0, 0, queries * shape.head_dim)
    return graph.add("MatMul", joined, f"{layer}.o_proj")


def _heads(graph: GraphWriter, value: str, weight: str, heads: int, head_dim: int) -> str:
    """(batch, heads, tokens, head_dim)."""
    projected = graph.add("MatMul", value, weight)
    return graph.transpose(graph.reshape(projected, 0, 0, heads, head_dim), 0, 2, 1, 3)


def _cached(graph: GraphWriter, new: str, state: str, sequence: Sequence) -> str:
    """The cache with this call's keys or values in their places."""
    places = graph.add("Expand", graph.unsqueeze(sequence.positions, 1, 3), graph.add("Shape", new))
    cache = graph.add("ScatterElements", f"past_{state}", places, new, axis=2)
    graph.give(cache, f"present_{state}")
    return cache
