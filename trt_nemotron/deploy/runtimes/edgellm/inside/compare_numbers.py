"""Execute an exported graph and compare its logits with the reference's.

    watched.py compare_numbers:main GRAPH_FOLDER REFERENCE.npz RESULT.json {wide,both} LAYERS

Four ways: each prompt as one prefill; all prompts as one ragged batch; a prefill and then single
decode steps through the states; and, with `both`, as exported, in 16 bits. Only the first layers of
the graph are executed, and its output layer, as the reference was.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from execution import Graph

Array = Any
_DECODED = 8


def main() -> int:
    """Write the differences; nothing is judged here."""
    folder, reference, result, mode, layers = sys.argv[1:]
    cases = read_cases(Path(reference))
    graph = Graph(Path(folder), is_wide=True, layers=int(layers))
    found = [
        measure("prefill", cases, [_prefill(graph, tokens) for tokens, _ in cases]),
        measure("batch", cases, _batched(graph, [tokens for tokens, _ in cases])),
        measure("decode", cases, [_decoded(graph, tokens) for tokens, _ in cases]),
    ]
    if mode == "both":
        half = Graph(Path(folder), is_wide=False, layers=int(layers))
        found.append(measure("as_exported", cases, [_prefill(half, tokens) for tokens, _ in cases]))
    Path(result).write_text(json.dumps(found), encoding="utf-8")
    return 0


def read_cases(path: Path) -> list[tuple[Array, Array]]:
    """Tokens and logits of each prompt."""
    with np.load(path) as stored:
        count = len(stored.files) // 2
        return [(stored[f"tokens_{it}"], stored[f"logits_{it}"]) for it in range(count)]


def measure(name: str, cases: list[tuple[Array, Array]], got: list[Array]) -> dict[str, Any]:
    """How far the logits lie apart, and on how many tokens the largest is another one."""
    wanted = np.concatenate([logits for _, logits in cases])
    found = np.concatenate(got)
    return {
        "name": name,
        "tokens": int(wanted.shape[0]),
        "max_abs_difference": float(np.abs(found - wanted).max()),
        "largest_logit": float(np.abs(wanted).max()),
        "other_argmax": int((found.argmax(-1) != wanted.argmax(-1)).sum()),
        "is_finite": bool(np.isfinite(found).all()),
    }


def _prefill(graph: Graph, tokens: Array) -> Array:
    logits, _ = graph.run(graph.start(1, len(tokens)), [tokens], [0])
    return logits


def _batched(graph: Graph, sequences: list[Array]) -> list[Array]:
    capacity = max(len(tokens) for tokens in sequences)
    states = graph.start(len(sequences), capacity)
    logits, _ = graph.run(states, sequences, [0] * len(sequences))
    return list(np.split(logits, np.cumsum([len(tokens) for tokens in sequences])[:-1]))


def _decoded(graph: Graph, tokens: Array) -> Array:
    """The last tokens one at a time, each on the states that the one before left."""
    first = max(1, len(tokens) - _DECODED)
    states = graph.start(1, len(tokens))
    logits, states = graph.run(states, [tokens[:first]], [0])
    rows = [logits]
    for place in range(first, len(tokens)):
        logits, states = graph.run(states, [tokens[place : place + 1]], [place])
        rows.append(logits)
    return np.concatenate(rows)
