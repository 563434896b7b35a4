"""The engine's config.json, predicted by Edge-LLM's own planning code: no TensorRT, no GPU.

watched.py predict_config:main CHECKPOINT BATCH INPUT CAPACITY RESULT.json
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace


def main() -> int:
    """Write the configuration, with the ranges of both TensorRT profiles beside it."""
    from experimental.builder.core import contracts, ragged
    from experimental.builder.core.artifacts.runtime_config import build_runtime_config
    from experimental.builder.core.config import DeviceConfig

    checkpoint, batch, longest, capacity, result = sys.argv[1:]
    config = DeviceConfig.from_pretrained(checkpoint, contracts.Component.LLM, 1, 0)
    arguments = SimpleNamespace(
        resolved_spec_role=contracts.SpecRole.NONE,
        resolved_component=contracts.Component.LLM,
        spec_type="none",
        spec_role="none",
        tp_size=1,
        tp_rank=0,
        max_input_len=int(longest),
        max_kv_cache_capacity=int(capacity),
        max_batch_size=int(batch),
        max_lora_rank=0,
        max_verify_tree_size=60,
        max_draft_tree_size=60,
        dflash_version=None,
        tree_base=False,
    )
    profiles = ragged.decoder_profile_ranges(arguments)
    tree = {
        "config": build_runtime_config(config, arguments),
        "profiles": [
            {"physical_tokens": it.physical_tokens, "num_sequences": it.num_sequences}
            for it in profiles
        ],
    }
    Path(result).write_text(json.dumps(tree), encoding="utf-8")
    return 0
