"""Settings of llama.cpp's server that depend neither on the machine nor on the checkpoint."""

from trt_nemotron.deploy.choices import Choices

KV_STORAGE = "f16"
MICRO_BATCH_TOKENS = 512
STATE_CHECKPOINTS = 1

_BATCH_TOKENS = 2048


def choose_fixed(choices: Choices) -> None:
    """Add them to `choices`, with their reasons."""
    choices.add("n_batch", _BATCH_TOKENS, "The default: tokens taken up at once.")
    choices.add(
        "n_ubatch", MICRO_BATCH_TOKENS, "The default: larger takes memory, smaller takes time."
    )
    kv_reason = "The KV cache is small beside weights and states: four layers in the 4B model."
    choices.add("cache_type_k", KV_STORAGE, kv_reason)
    choices.add("cache_type_v", KV_STORAGE, kv_reason)
    choices.add("flash_attn_type", "on")
    choices.add("kv_unified", value=False)
    choices.add("fit_params", value=False)
    choices.add("cache_ram_mib", 0)
    choices.add("n_ctx_checkpoints", STATE_CHECKPOINTS)
    choices.add(
        "cache_prompt",
        value=True,
        reason="The next turn of a chat reads only what is new; a measurement switches it off "
        "request by request.",
    )
    choices.add("n_gpu_layers", 0, "This target has no accelerator.")
    choices.add("warmup", value=True, reason="The first request must not pay for loading pages.")
    choices.add("use_jinja", value=True, reason="The model's own chat template is rendered.")
    choices.add("reasoning_format", "deepseek", "Thinking is returned apart, as reasoning_content.")
    choices.add("endpoint_metrics", value=True, reason="Counters for whoever watches.")
    choices.add("endpoint_slots", value=True, reason="Shows which slot is busy, and with what.")
    choices.add("ui", value=False, reason="A deployment needs no web page.")
    choices.add("cors_origins", "localhost")
