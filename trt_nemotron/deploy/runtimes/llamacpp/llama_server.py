"""The `llama-server` program of llama.cpp: the same server as in the wheel, started by its flags.

Accepted in place of the wheel, so that a build for another processor or accelerator can be used.
Flags as in https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md; the wheel's
library, build 11549, has each of them in its table of arguments.
"""

from trt_nemotron.deploy.runtimes.llamacpp.settings import ServerSettings, SettingValue
from trt_nemotron.errors import InvalidInput

PROGRAM = "llama-server"

OPTIONS = {
    "n_ctx": "--ctx-size",
    "n_parallel": "--parallel",
    "n_threads": "--threads",
    "n_threads_batch": "--threads-batch",
    "n_batch": "--batch-size",
    "n_ubatch": "--ubatch-size",
    "cache_type_k": "--cache-type-k",
    "cache_type_v": "--cache-type-v",
    "flash_attn_type": "--flash-attn",
    "cache_ram_mib": "--cache-ram",
    "n_ctx_checkpoints": "--ctx-checkpoints",
    "n_gpu_layers": "--n-gpu-layers",
    "reasoning_format": "--reasoning-format",
    "cors_origins": "--cors-origins",
}
"""Choice -> the option that takes its value."""

SWITCHES = {
    "kv_unified": ("--kv-unified", "--no-kv-unified"),
    "cache_prompt": ("--cache-prompt", "--no-cache-prompt"),
    "warmup": ("--warmup", "--no-warmup"),
    "use_jinja": ("--jinja", "--no-jinja"),
    "endpoint_slots": ("--slots", "--no-slots"),
    "ui": ("--ui", "--no-ui"),
    "fit_params": ("--fit on", "--fit off"),
    "endpoint_metrics": ("--metrics", ""),
}
"""Choice -> what is said when it is true, and when it is false."""

_ALWAYS = ("--no-cors-credentials", "--offline", "--log-verbosity", "4", "--log-colors", "off")


def llama_server_argv(program: str, settings: ServerSettings) -> tuple[str, ...]:
    """The command line that starts `program` as the launcher would start the wheel.

    Raises:
        InvalidInput: a choice that has no flag.
    """
    where = ("--host", "127.0.0.1", "--port", str(settings.port))
    what = ("--model", settings.model, "--alias", settings.alias)
    chosen = (text for name, value in settings.choices.items() for text in _flags(name, value))
    return (program, *what, *where, *chosen, *_ALWAYS)


def _flags(name: str, value: SettingValue) -> tuple[str, ...]:
    if name in OPTIONS:
        return (OPTIONS[name], str(value))
    if name in SWITCHES:
        when_true, when_false = SWITCHES[name]
        return tuple((when_true if value else when_false).split())
    raise InvalidInput(
        f"{PROGRAM} has no flag for {name}",
        next_step="Build the bundle again with this version of trt-nemotron.",
    )
