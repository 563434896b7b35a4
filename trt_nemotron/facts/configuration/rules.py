"""Rules between settings: pairs that cannot stand together, and defaults that must not stand."""

import math
from collections.abc import Callable, Iterator

from trt_nemotron.facts.configuration.finding import Finding, Severity
from trt_nemotron.facts.configuration.picture import Picture

KV = "kv_cache_config."
GRAPH = "cuda_graph_config."
STATE_DTYPE = f"{KV}mamba_ssm_cache_dtype"
SNAPSHOTS = f"{KV}mamba_state_config."

LARGEST_FRACTION_PERCENT = 70
"""Of a board's own free memory: an H100 ran out of it once the pool took 75 %,
https://github.com/NVIDIA/TensorRT-LLM/pull/14063."""

Rule = Callable[[Picture], Iterator[Finding]]


def find(
    rule: str, at: Picture, keys: tuple[str, ...], message: str, fix: str, *,
    severity: Severity = "error", source: str = "",
) -> Finding:  # fmt: skip
    """A finding at the first of `keys` that was written."""
    place = next((key for key in keys if at.has(key)), keys[0])
    return Finding(
        severity=severity, rule=rule, place=place, message=message, fix=fix,
        line=at.line(*keys), source=source,
    )  # fmt: skip


def generated_sizes(largest: int, has_padding: bool) -> list[int]:
    """Graph sizes that the runtime generates up to `largest`.

    Source: CudaGraphConfig in tensorrt_llm/llmapi/llm_args.py of every release read.
    """
    sizes = [1, 2, 4, *range(8, 129, 8)] if has_padding else [*range(1, 33), 64, 128]
    sizes += [2**power for power in range(8, math.ceil(math.log2(largest)))]
    kept = sorted(size for size in sizes if size <= largest)
    return kept if kept and kept[-1] == largest else [*kept, largest]


def graph_sizes_agree(at: Picture) -> Iterator[Finding]:
    """`batch_sizes` and `max_batch_size` of the graphs, both given, must say the same."""
    sizes, largest = _graph_sizes(at), at.number(f"{GRAPH}max_batch_size")
    if not sizes or not largest or at.release.hybrids is None:
        return
    keys = (f"{GRAPH}max_batch_size", f"{GRAPH}batch_sizes")
    source = at.release.hybrids.source
    if max(sizes) != largest:
        message = f"it is {largest:g}, but the largest of batch_sizes is {max(sizes)}"
        fix = f"Leave out max_batch_size, or write {max(sizes)}."
        yield find("graph-sizes-disagree", at, keys, message, fix, source=source)
    elif at.release.hybrids.graph_sizes == "generated":
        expected = generated_sizes(int(largest), bool(at.get(f"{GRAPH}enable_padding")))
        if sorted(sizes) != expected:
            message = f"{at.release.release} takes both only if batch_sizes is {expected}"
            fix = "Leave out max_batch_size; the sizes alone say it."
            yield find("graph-sizes-disagree", at, keys, message, fix, source=source)


def graphs_match_batch(at: Picture) -> Iterator[Finding]:
    """The largest graph is `max_batch_size`: above it fails, below it runs without a graph."""
    largest, batch = _largest_graph(at), at.number("max_batch_size")
    if largest is None or batch is None:
        return
    keys = (f"{GRAPH}max_batch_size", f"{GRAPH}batch_sizes", "max_batch_size")
    source = "https://github.com/NVIDIA/TensorRT-LLM/issues/10688"
    if largest > batch:
        message = f"graphs up to {largest:g} are above max_batch_size {batch:g}"
        fix = f"Write {batch:g} there: padded rows need a free recurrent state each."
        yield find("graphs-above-batch", at, keys, message, fix, source=source)
    elif largest < batch:
        message = f"batches above {largest:g} run without a graph; max_batch_size is {batch:g}"
        fix = f"Write {batch:g} there."
        yield find("graphs-below-batch", at, keys, message, fix, severity="warning", source=source)


def batch_is_said(at: Picture) -> Iterator[Finding]:
    """The default batch of 2048 is 160 GiB of recurrent state."""
    if at.has_flags and not at.has("max_batch_size"):
        yield find(
            "batch-unsaid", at, ("max_batch_size",),
            "its default, 2048, is 160 GiB of recurrent state for this model",
            "Write the number of sequences to serve at once, such as 32.",
            source="79.9 MiB of float32 state a sequence; docs/trtllm-releases.md",
        )  # fmt: skip


def batch_within_tokens(at: Picture) -> Iterator[Finding]:
    """A step takes at least one token of each sequence."""
    batch, tokens = at.number("max_batch_size"), at.number("max_num_tokens")
    if batch is not None and tokens is not None and batch > tokens:
        yield find(
            "batch-above-tokens", at, ("max_num_tokens",),
            f"{tokens:g} tokens a step are fewer than max_batch_size {batch:g}",
            f"Write {batch:g} or more.",
            source="validate_runtime_args in tensorrt_llm/llmapi/llm_args.py warns of it",
        )  # fmt: skip


def block_reuse_suits_hybrids(at: Picture) -> Iterator[Finding]:
    """Prefix blocks alone cannot restore a recurrent state."""
    hybrids = at.release.hybrids
    key = f"{KV}enable_block_reuse"
    if hybrids is None:
        return
    if at.get(key) is True and hybrids.block_reuse == "refused":
        yield find(
            "block-reuse-on-hybrid", at, (key,),
            f"the hybrid cache of {at.release.release} refuses block reuse, after loading",
            "Write false.", source=hybrids.source,
        )  # fmt: skip
    if not at.has(key) and hybrids.block_reuse == "refused":
        yield find(
            "block-reuse-unsaid", at, (key,),
            "its default is true, which the hybrid cache refuses unless the model switches it off",
            "Write false.", severity="warning", source=hybrids.source,
        )  # fmt: skip
    if at.get(key) is True and hybrids.block_reuse == "needs-snapshots" and not _snapshots(at):
        yield find(
            "block-reuse-without-snapshots", at, (key,),
            "without a snapshot policy it is switched off with a warning",
            f"Write {SNAPSHOTS}periodic_snapshot_interval, or false here.",
            severity="warning", source=hybrids.source,
        )  # fmt: skip


def snapshots_are_said_once(at: Picture) -> Iterator[Finding]:
    """The old interval and its new place exclude each other."""
    old, new = f"{KV}mamba_state_cache_interval", f"{SNAPSHOTS}periodic_snapshot_interval"
    if at.has(old) and at.has(new):
        yield find(
            "conflict", at, (old,), f"it and {new} exclude each other", f"Keep {new} only.",
            source="https://github.com/NVIDIA/TensorRT-LLM/pull/16598",
        )  # fmt: skip


def snapshot_places_need_v2(at: Picture) -> Iterator[Finding]:
    """Snapshots at fixed places exist in the second cache manager only."""
    names = ("additional_snapshot_offsets_from_start", "additional_snapshot_offsets_from_end",
             "enable_branch_snapshot")  # fmt: skip
    used = [f"{SNAPSHOTS}{name}" for name in names if at.get(f"{SNAPSHOTS}{name}")]
    if used and at.get(f"{KV}use_kv_cache_manager_v2") is False:
        yield find(
            "conflict", at, (used[0],), "it needs the second cache manager, which is switched off",
            f"Leave out {KV}use_kv_cache_manager_v2, or write auto.",
            source="https://github.com/NVIDIA/TensorRT-LLM/pull/16598",
        )  # fmt: skip


def rounding_needs_float16(at: Picture) -> Iterator[Finding]:
    """Stochastic rounding exists for float16 states only."""
    key = f"{KV}mamba_ssm_stochastic_rounding"
    source = "https://github.com/NVIDIA/TensorRT-LLM/pull/11972"
    dtype = at.get(STATE_DTYPE) or "auto"
    if at.get(key) is True and dtype != "float16":
        yield find(
            "rounding-needs-float16", at, (key,), f"mamba_ssm_cache_dtype is {dtype}",
            f"Write {STATE_DTYPE}: float16, or leave the rounding out.", source=source,
        )  # fmt: skip
    rounds = f"{KV}mamba_ssm_philox_rounds"
    if at.has(rounds) and at.get(key) is not True:
        yield find(
            "no-effect", at, (rounds,), "it does nothing without stochastic rounding",
            f"Write {key}: true, or leave it out.", severity="warning", source=source,
        )  # fmt: skip


def state_dtype_is_said(at: Picture) -> Iterator[Finding]:
    """Left to `auto`, states take the model's bfloat16, which drifts on long contexts."""
    if at.get(STATE_DTYPE) in {None, "auto", "bfloat16"}:
        setting = next((it for it in at.release.keys if it.name == STATE_DTYPE), None)
        if setting is not None:
            yield find(
                "state-dtype", at, (STATE_DTYPE,), setting.trap or "it is bfloat16 then",
                "Write float32.", severity="warning", source=setting.source,
            )  # fmt: skip


def caps_of_memory(at: Picture) -> Iterator[Finding]:
    """Of a fraction, a byte cap and a token cap the smallest wins; a fraction misleads on UMA."""
    fraction = f"{KV}free_gpu_memory_fraction"
    caps = [key for key in (f"{KV}max_gpu_total_bytes", f"{KV}max_tokens") if at.get(key)]
    source = "https://nvidia.github.io/TensorRT-LLM/llm-api/reference/KvCacheConfig.html"
    if not caps:
        yield from _large_fraction(at, fraction)
    elif at.has(fraction):
        yield find(
            "two-caps", at, (fraction,), f"with {caps[0]} given too, the smaller of them wins",
            f"Keep {caps[0]} only.", severity="warning", source=source,
        )  # fmt: skip
    if at.is_memory_unified and not caps:
        yield find(
            "fraction-on-unified-memory", at, (fraction, f"{KV}max_gpu_total_bytes"),
            "memory is shared: a fraction of what is free starves the host and moves with its page"
            " cache", f"Write {KV}max_gpu_total_bytes or {KV}max_tokens instead.",
            severity="warning", source="https://github.com/NVIDIA/xr-ai/pull/462",
        )  # fmt: skip
    host = f"{KV}host_cache_size"
    if at.is_memory_unified and at.number(host):
        yield find(
            "host-offload-on-unified-memory", at, (host,),
            "host and device share their memory: it would be copied to itself", "Leave it out.",
            source="https://github.com/NVIDIA/TensorRT-LLM/issues/15793",
        )  # fmt: skip


def _large_fraction(at: Picture, key: str) -> Iterator[Finding]:
    """Shares as vLLM has them: there of all memory, here of what the weights leave free."""
    fraction = at.number(key)
    if fraction is None or at.is_memory_unified:
        return
    if fraction * 100 > LARGEST_FRACTION_PERCENT:
        yield find(
            "large-fraction", at, (key,),
            f"{fraction:g} of what is free leaves too little for workspace and graphs: an H100 ran "
            "out of memory at 0.75. It is not vLLM's gpu_memory_utilization, which counts from all"
            " memory",
            f"Write {LARGEST_FRACTION_PERCENT / 100:g} or less; `trt-nemotron plan` computes one.",
            severity="warning", source="https://github.com/NVIDIA/TensorRT-LLM/pull/14063",
        )  # fmt: skip


def pools_of_the_second_manager(at: Picture) -> Iterator[Finding]:
    """The V2 manager divides its pool by the expected length; unsaid, it leaves few states."""
    ratio, average = f"{KV}pool_ratio", f"{KV}avg_seq_len"
    setting = next((it for it in at.release.keys if it.name == average), None)
    values = at.get(ratio)
    if isinstance(values, list) and all(isinstance(it, int | float) for it in values):
        if any(it <= 0 for it in values) or not math.isclose(sum(values), 1.0, abs_tol=1e-6):
            yield find(
                "conflict", at, (ratio,), f"its parts sum to {sum(values):g}, not to 1",
                "Write positive parts that sum to 1.", source=setting.source if setting else "",
            )  # fmt: skip
        if at.has(average):
            yield find(
                "no-effect", at, (average,), "pool_ratio overrules it", "Keep one of the two.",
                severity="warning", source=setting.source if setting else "",
            )  # fmt: skip
    is_default = at.release.hybrids is not None and at.release.hybrids.manager_v2 == "default"
    is_off = at.get(f"{KV}use_kv_cache_manager_v2") is False
    if is_default and not is_off and not at.has(average) and values is None and setting:
        yield find(
            "states-starved", at, (average,), setting.trap, "Write the usual length of a sequence.",
            severity="warning", source=setting.source,
        )  # fmt: skip


def _graph_sizes(at: Picture) -> list[int]:
    """The sizes that were written, if they are sizes; empty otherwise."""
    value = at.get(f"{GRAPH}batch_sizes")
    if isinstance(value, list) and all(isinstance(it, int) for it in value):
        return value
    return []


def _largest_graph(at: Picture) -> float | None:
    sizes = _graph_sizes(at)
    return float(max(sizes)) if sizes else at.number(f"{GRAPH}max_batch_size") or None


def _snapshots(at: Picture) -> bool:
    names = ("periodic_snapshot_interval", "additional_snapshot_offsets_from_start",
             "additional_snapshot_offsets_from_end")  # fmt: skip
    is_old = bool(at.get(f"{KV}mamba_state_cache_interval"))
    return is_old or any(at.get(f"{SNAPSHOTS}{name}") for name in names)
