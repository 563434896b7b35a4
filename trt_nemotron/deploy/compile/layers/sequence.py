"""Where the tokens of a call stand in their sequences: computed once, used by every layer."""

from dataclasses import dataclass

from trt_nemotron.deploy.compile.writer import GraphWriter


@dataclass(frozen=True, slots=True)
class Sequence:
    """Names of values.

    Attributes:
        positions: (batch, tokens), absolute.
        is_seen: (tokens, tokens), whether a token of this call may look at another of it.
        is_cached: (batch, 1, 1, tokens, max_seq_len), whether it may look at a place of the cache.
    """

    positions: str
    is_seen: str
    is_cached: str


def sequence(graph: GraphWriter, max_seq_len: int) -> Sequence:
    """From the inputs `input_ids` and `position`."""
    with graph.scope("sequence"):
        zero, one = graph.integer(0), graph.integer(1)
        tokens = graph.add("Gather", graph.add("Shape", "input_ids"), one)
        places = graph.add("Range", zero, tokens, one)
        positions = graph.add("Add", graph.unsqueeze("position", 1), places)
        is_seen = graph.add(
            "GreaterOrEqual", graph.unsqueeze(places, 1), graph.unsqueeze(places, 0)
        )
        cache = graph.add("Range", zero, graph.integer(max_seq_len), one)
        is_cached = graph.add("GreaterOrEqual", graph.unsqueeze(positions, 1, 2, 4), cache)
    return Sequence(positions, is_seen, is_cached)
