"""Logits of a checkpoint by Transformers, in FP32 on the processor, for real prompts.

    watched.py reference_logits:main CHECKPOINT PROMPTS.json RESULT.npz CONTINUATION LAYERS

Each prompt is rendered with the checkpoint's own chat template and continued greedily by so many
tokens. Only so many layers are loaded, from the first on, and the output layer. Without a cache:
Transformers 5.14, which Edge-LLM pins, cannot build one for a network with MLP layers
(KeyError: 'mlp').
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


def main() -> int:
    """Write tokens and logits of every prompt."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    folder, prompts, result, continuation, layers = sys.argv[1:]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    config = AutoConfig.from_pretrained(folder)
    config.layers_block_type = config.layers_block_type[: int(layers)]
    model = AutoModelForCausalLM.from_pretrained(folder, config=config, dtype=torch.float32).eval()
    found: dict[str, Any] = {}
    for index, prompt in enumerate(json.loads(Path(prompts).read_text(encoding="utf-8"))):
        text = tokenizer.apply_chat_template(
            prompt["messages"], tokenize=False, add_generation_prompt=True, **prompt["template"]
        )
        tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            for _ in range(int(continuation)):
                logits = model(torch.tensor([tokens]), use_cache=False).logits[0]
                tokens = [*tokens, int(logits[-1].argmax())]
            logits = model(torch.tensor([tokens]), use_cache=False).logits[0]
        found[f"tokens_{index}"] = np.array(tokens, np.int64)
        found[f"logits_{index}"] = logits.numpy()
    np.savez(result, **found)
    return 0
