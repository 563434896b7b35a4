"""Every setting of a plan with its reason: the file's keys, the flags, the variables."""

from trt_nemotron.deploy.choices import ASKED_FOR
from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.deploy.runtimes.trtllm.profiles import CARD, Profile
from trt_nemotron.deploy.runtimes.trtllm.settings import Settings
from trt_nemotron.deploy.runtimes.trtllm.situation import Situation
from trt_nemotron.deploy.runtimes.trtllm.sizing import Fitting
from trt_nemotron.facts.release import RuntimeRelease

CACHE_ROOT = "{cache}"
"""Stands in a plan for the folder of compiled artefacts, which differs from machine to machine."""

UNPADDED_BATCH = 8
"""Up to this batch every size gets a graph of its own and nothing is padded."""

_CARD = "model card of nvidia/NVIDIA-Nemotron-3-Nano-4B-BF16"
REASONING_PARSER = "nano-v3"
TOOL_PARSER = "qwen3_coder"
"""As the model's facts have them; a test holds both equal."""

_LLM_ARGS = "tensorrt_llm/llmapi/llm_args.py"
_KV_CONFIG = "https://nvidia.github.io/TensorRT-LLM/llm-api/reference/KvCacheConfig.html"
_UNIFIED_ALLOCATOR = "https://github.com/NVIDIA/dgx-spark-playbooks/tree/0db7c14/nvidia/trt-llm"


def put_sizes(
    settings: Settings, at: Situation, fitting: Fitting, profile: Profile, wishes: Wishes
) -> None:
    """Batch, lengths, and the graphs that go with them."""
    sizes = fitting.sizes
    asked = wishes.max_concurrency is not None
    settings.put(
        "max_batch_size",
        sizes.batch,
        "As asked for." if asked else f"Profile {profile.name}: {profile.about}.",
        source=ASKED_FOR if asked else "memory ledger and roofline",
    )
    settings.put(
        "max_seq_len",
        sizes.seq_len,
        _length_reason(at, fitting, is_asked=wishes.max_seq_len is not None),
        source=ASKED_FOR if wishes.max_seq_len is not None else "memory ledger",
    )
    settings.put(
        "max_num_tokens",
        sizes.step_tokens,
        "Tokens of one step: a long prompt holds the other sequences up for as long.",
        source=_LLM_ARGS,
    )
    settings.put(
        "enable_chunked_prefill",
        value=True,
        reason=f"A prompt of more than {sizes.step_tokens:,} tokens is taken up in pieces; the "
        "recurrent states are carried from piece to piece.",
        source=_LLM_ARGS,
    )
    _put_graphs(settings, fitting)


def _length_reason(at: Situation, fitting: Fitting, *, is_asked: bool) -> str:
    sizes = fitting.sizes
    each = (
        "all of them at once"
        if fitting.full_sequences >= sizes.batch
        else f"{fitting.full_sequences} of them at once"
    )
    start = "As asked for" if is_asked else f"Of the {at.shape.longest_context:,} the model has"
    return f"{start}; the KV cache holds {each} at this length."


def _put_graphs(settings: Settings, fitting: Fitting) -> None:
    sizes = fitting.sizes
    is_padded = sizes.batch > UNPADDED_BATCH
    captured = ", ".join(map(str, sizes.graphs))
    settings.put(
        "cuda_graph_config.enable_padding",
        is_padded,
        f"{len(sizes.graphs)} graphs instead of one for each size; a padded row costs the traffic "
        "of a state."
        if is_padded
        else "Every size has a graph of its own: no row is padded, and none moves a state in vain.",
        source=_LLM_ARGS,
    )
    if not settings.is_given("cuda_graph_config.batch_sizes"):
        settings.put(
            "cuda_graph_config.max_batch_size",
            sizes.batch,
            f"Equal to max_batch_size; captured are {captured}.",
            source="https://github.com/NVIDIA/TensorRT-LLM/issues/10688",
        )


def put_cache(settings: Settings, at: Situation, fitting: Fitting) -> None:
    """The KV cache, the states, and the limit of their pool."""
    settings.put(
        "kv_cache_config.dtype",
        at.kv_dtype,
        "The checkpoint brings scales for it."
        if at.kv_dtype == "fp8"
        else "The model's own type: the checkpoint brings no scales for a smaller one.",
        source="the checkpoint's configuration",
    )
    settings.put(
        "kv_cache_config.mamba_ssm_cache_dtype",
        at.state_dtype,
        "Twice the bytes of bfloat16, and right answers on long contexts.",
    )
    settings.put(
        "kv_cache_config.enable_block_reuse",
        value=False,
        reason="Blocks of KV cache alone cannot restore a recurrent state.",
        source=at.hybrids.source,
    )
    _put_limit(settings, at, fitting)


def _put_limit(settings: Settings, at: Situation, fitting: Fitting) -> None:
    caps, sizes = fitting.caps, fitting.sizes
    need = f"{sizes.batch} sequences of {sizes.seq_len:,} tokens"
    if caps.fraction is not None:
        settings.put(
            "kv_cache_config.free_gpu_memory_fraction",
            caps.fraction,
            f"The least step that holds {need} and a tenth more; of what is free after weights.",
            source=_KV_CONFIG,
        )
    elif caps.tokens is not None:
        settings.put(
            "kv_cache_config.max_tokens",
            caps.tokens,
            f"{need}, and a block for padding. Host and device share this memory: a fraction of "
            "what is free would move with the page cache.",
            source="https://github.com/NVIDIA/xr-ai/pull/462",
        )
    elif caps.pool_bytes is not None:
        settings.put(
            "kv_cache_config.max_gpu_total_bytes",
            caps.pool_bytes,
            f"States and KV cache of {need}. Host and device share this memory: a fraction of what "
            "is free would move with the page cache.",
            source="https://github.com/NVIDIA/xr-ai/pull/462",
        )
    if at.are_states_pooled and not settings.is_given("kv_cache_config.pool_ratio"):
        settings.put(
            "kv_cache_config.avg_seq_len",
            max(min(sizes.seq_len, fitting.tokens // sizes.batch), 1),
            "Divides the pool so that every sequence of the batch has its state; unsaid, half of "
            "max_seq_len is supposed.",
        )


def put_engine(settings: Settings, experts: int) -> None:
    """Schedulers, backends and parsers, for a model with so many expert layers."""
    settings.put(
        "disable_overlap_scheduler",
        value=False,
        reason="The host prepares the next step while the device works: on fast boards the host is "
        "what decoding waits for. The model card disables it; worth a comparison.",
        source="https://github.com/NVIDIA/TensorRT-LLM/issues/13562",
    )
    settings.put(
        "attn_backend",
        "TRTLLM",
        "The default, and the one without the memory leak of FlashInfer's.",
        source="release notes of 1.3.0rc26",
    )
    settings.put(
        "moe_config.backend",
        "AUTO",
        f"The server chooses for this board; the model has {experts} expert layers."
        if experts
        else "Without effect: the model has no expert layers.",
        source="layers of the checkpoint's config.json",
    )
    settings.put(
        "enable_autotuner",
        value=True,
        reason="Its choices are kept in a file from start to start.",
        source=_LLM_ARGS,
    )
    settings.put(
        "guided_decoding_backend",
        "xgrammar",
        "Without one a request's response_format is dropped in silence.",
        source="https://github.com/NVIDIA/TensorRT/issues/4855",
    )
    settings.put(
        "reasoning_parser",
        REASONING_PARSER,
        "Thinking is returned apart; without it an orphan </think> stays in the text.",
        source="https://github.com/NVIDIA/NemoClaw/pull/6992",
    )


def put_flags(settings: Settings, served_name: str) -> None:
    """What the file cannot say."""
    settings.put(
        "--tool_parser",
        TOOL_PARSER,
        "The model writes tool calls in this form.",
        source=_CARD,
    )
    put_safe_flags(settings, served_name)


def put_safe_flags(settings: Settings, served_name: str) -> None:
    """What holds for every profile: the served name, and no telemetry."""
    if settings.knows("--served_model_name"):
        settings.put("--served_model_name", served_name, "The name that clients ask for.")
    if settings.is_confirmed("--telemetry"):  # a flag that is not there ends the start
        settings.put(
            "--telemetry", value=False, reason="Nothing is sent from a device without being asked."
        )


def put_variables(settings: Settings, at: Situation, profile: Profile) -> None:
    """Where compiled artefacts are kept, and what keeps the server off the network.

    What would change how the model card's recipe runs is left out of it.
    """
    for cache in at.release.cache_variables:
        if cache.status == "unverified":
            continue
        place = f"{CACHE_ROOT}/{_folder(cache.name)}{'.json' if cache.is_file else ''}"
        reason = f"Kept from start to start: {cache.holds}."
        settings.put_variable(cache.name, place, reason, cache.source)
    offline = "Everything is in the folder that is served; nothing is asked of a network."
    source = "https://github.com/huggingface/transformers/issues/34855"
    settings.put_variable("HF_HUB_OFFLINE", "1", offline, source)
    settings.put_variable("TRANSFORMERS_OFFLINE", "1", offline, source)
    if _has_telemetry(at.release):
        settings.put_variable(
            "TRTLLM_NO_USAGE_STATS",
            "1",
            "Nothing is sent from a device without being asked.",
            "https://github.com/NVIDIA/TensorRT-LLM/pull/12384",
        )
    if at.gpu.is_memory_unified and profile.name != CARD:
        settings.put_variable(
            "PYTORCH_ALLOC_CONF",
            "expandable_segments:True",
            "Freed memory can be used again whole, where host and device share it.",
            _UNIFIED_ALLOCATOR,
        )


def _has_telemetry(release: RuntimeRelease) -> bool:
    return any(flag.name == "--telemetry" for flag in release.flags)


def _folder(variable: str) -> str:
    """`TRITON_CACHE_DIR` -> `triton`."""
    name = variable.casefold().removeprefix("tllm_")
    for ending in ("_cache_dir", "_jit_cache_dir", "_cache_path", "_extensions_dir",
                   "_workspace_base"):  # fmt: skip
        name = name.removesuffix(ending)
    return name.replace("_", "-")
