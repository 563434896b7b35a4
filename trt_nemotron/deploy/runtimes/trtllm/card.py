"""The model card's recipe for TensorRT-LLM, as it stands, and where facts say better.

Source: the card of nvidia/NVIDIA-Nemotron-3-Nano-4B-BF16 (2026-03-16), section TensorRT-LLM.
"""

from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.deploy.runtimes.trtllm.settings import Settings
from trt_nemotron.errors import InvalidInput

CARD_RELEASE = "1.3.0rc6"
CARD_BATCH = 32

_SOURCE = "model card of nvidia/NVIDIA-Nemotron-3-Nano-4B-BF16, 2026-03-16"
_RECIPE: tuple[tuple[str, int | bool | str], ...] = (
    ("kv_cache_config.dtype", "auto"),
    ("kv_cache_config.enable_block_reuse", False),
    ("cuda_graph_config.max_batch_size", CARD_BATCH),
    ("cuda_graph_config.enable_padding", True),
    ("disable_overlap_scheduler", True),
    ("moe_config.backend", "CUTLASS"),
    ("--max_batch_size", CARD_BATCH),
)

WARNINGS = (
    (
        "The card starts a container on the host's network and listens on all interfaces (--host "
        "0.0.0.0 --port 8123); here the server is kept on loopback, at the port that you choose."
    ),
    (
        "The card hands over HF_TOKEN and loads from the hub; here the weights lie in the bundle, "
        "and beside the card's settings stand only folders for caches and the switch that keeps "
        "the server off the network."
    ),
    (
        "The card leaves max_seq_len to the model, 262,144 tokens: 32 sequences of that length "
        "would take 128 GiB of KV cache in BF16. Set it: --profile balanced."
    ),
    (
        "The card leaves the pool at the server's 0.9 of free memory; an H100 ran out of memory "
        "once it took 75 % (https://github.com/NVIDIA/TensorRT-LLM/pull/14063)."
    ),
    (
        "The card leaves chunked prefill off and max_num_tokens at 8,192: a longer prompt does not "
        "fit into a step."
    ),
    (
        "The card disables the overlap scheduler, which hides the host's work behind the device's; "
        "worth a comparison."
    ),
    "The card names the CUTLASS backend for experts, of which the model has none: no effect.",
    (
        "For TensorRT-LLM the card names no parsers: thinking and tool calls stay in the text "
        "(for vLLM it names nano_v3 and qwen3_coder)."
    ),
)


def refuse_changes(wishes: Wishes) -> None:
    """The recipe is one recipe.

    Raises:
        InvalidInput: something was asked for that would change it.
    """
    changes = {
        "--max-concurrency": wishes.max_concurrency,
        "--max-seq-len": wishes.max_seq_len,
        "--slo": wishes.slo,
        "--set": wishes.settings or None,
        "--override": wishes.overrides,
    }
    for option, value in changes.items():
        if value is not None:
            raise InvalidInput(
                f"--profile card and {option} contradict each other",
                evidence="the card's recipe is reproduced as it stands",
                next_step=f"Leave {option} out, or choose another profile.",
            )


def put_recipe(settings: Settings) -> None:
    """Choose what the card says, and nothing else."""
    for name, value in _RECIPE:
        settings.put(name, value, "As the card has it.", source=_SOURCE)
