"""Planned against actual figures: the plan's settings beside what the server says it made of them.

Only what a plan names is compared: the knobs of `trtllm-serve`, which sizes its pools itself and
may come out with less than was planned without failing.
"""

from collections.abc import Iterable, Iterator

from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.protocol import ReportedFact
from trt_nemotron.deploy.shape import round_up
from trt_nemotron.document import Value
from trt_nemotron.facts.configuration.rules import generated_sizes

_BLOCK_TOKENS = 32
_SIXTEENTHS = (9, 16, 32, 64)
"""Bytes of one element of KV cache, in sixteenths: nvfp4 with its scales, fp8, 16 bits, 32 bits."""


class FactGap(Value, frozen=True, kw_only=True):
    """One figure, planned and reported.

    Attributes:
        name: as the server's report calls it; its unit is its last word.
        warning: what the difference means, in one sentence; empty when it harms nothing.
    """

    name: str
    planned: float
    reported: float
    warning: str = ""


def compare_facts(plan: Plan, facts: Iterable[ReportedFact]) -> tuple[FactGap, ...]:
    """Every planned figure that the server reports, in a fixed order."""
    found = {fact.name: fact.value for fact in facts}
    return tuple(
        FactGap(
            name=name,
            planned=planned,
            reported=found[name],
            warning=_warning(name, planned, round(found[name])),
        )
        for name, planned in _planned_figures(plan)
        if name in found
    )


def _planned_figures(plan: Plan) -> Iterator[tuple[str, int]]:
    """What the report should say, by its own names."""
    batch, length = _count(plan, "max_batch_size"), _count(plan, "max_seq_len")
    if batch and length:
        yield "max_batch_requests", batch
        yield "max_seq_len_tokens", length
        yield from _planned_cache(plan, batch, length)
        yield "ssm_state_slots", batch
    sizes = _planned_graphs(plan)
    if sizes is not None:
        yield "cuda_graphs", len(sizes)
        if sizes:
            yield "largest_graph_requests", max(sizes)


def _planned_cache(plan: Plan, batch: int, length: int) -> Iterator[tuple[str, int]]:
    """Tokens with which every sequence reaches its full length, where the ledger has them.

    Only one width of an element makes the ledger's line a whole number of such tokens; where none
    does, the pool was planned smaller, and there is nothing to hold the server to.
    """
    wanted = batch * round_up(length, _BLOCK_TOKENS)
    elements = plan.checkpoint.shape.kv_elements_per_token
    size_bytes = next((it.size_bytes for it in plan.ledger.lines if it.name == "kv_cache"), 0)
    for sixteenths in _SIXTEENTHS:
        token_bytes = elements * sixteenths // 16
        if size_bytes == token_bytes * (wanted + _BLOCK_TOKENS):  # one block for the dummy request
            yield "kv_cache_tokens", wanted
            yield "kv_token_bytes", token_bytes


def _planned_graphs(plan: Plan) -> tuple[int, ...] | None:
    """Sizes of the graphs; nothing where the plan does not say."""
    choices = {choice.name: choice.value for choice in plan.choices}
    if "cuda_graph_config" in choices and choices["cuda_graph_config"] is None:
        return ()
    sizes = choices.get("cuda_graph_config.batch_sizes")
    if isinstance(sizes, tuple):
        return tuple(int(size) for size in sizes)
    largest = _count(plan, "cuda_graph_config.max_batch_size")
    if not largest:
        return None
    has_padding = choices.get("cuda_graph_config.enable_padding") is True
    return tuple(generated_sizes(largest, has_padding))


def _count(plan: Plan, name: str) -> int:
    """An integer setting; 0 where the plan has none of that name."""
    value = next((choice.value for choice in plan.choices if choice.name == name), 0)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _warning(name: str, planned: int, reported: int) -> str:
    if name == "cuda_graphs" and reported > planned:
        return f"{reported} CUDA graphs were captured, {planned} were planned: they take memory"
    if name == "kv_token_bytes":
        return "" if reported == planned else _OTHER_WIDTH.format(planned, reported)
    return _LESS[name].format(planned, reported) if reported < planned else ""


_OTHER_WIDTH = (
    "a token of KV cache takes {1:,} bytes, {0:,} were planned: it is kept in another type"
)
_LESS = {
    "max_batch_requests": "the server answers {1} requests at once, {0} were planned",
    "max_seq_len_tokens": "the server has cut the longest sequence to {1:,} tokens of {0:,}",
    "kv_cache_tokens": "the KV cache holds {1:,} tokens, {0:,} were planned: not every sequence "
    "reaches its full length while all are busy",
    "ssm_state_slots": "there are {1} recurrent-state slots for {0} requests: more at once end the "
    "server",
    "cuda_graphs": "{1} of {0} planned CUDA graphs were captured: other batch sizes run slower",
    "largest_graph_requests": "the largest CUDA graph is for {1} requests, {0} were planned: "
    "larger batches run slower",
}
