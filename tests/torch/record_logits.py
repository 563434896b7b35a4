"""Record what Transformers computes for the embedded checkpoint, for tests without torch.

    .venv-torch/bin/python -m tests.torch.record_logits

Computed with weights, activations and sums in f64 (the scan and the norms stay in f32, as
Transformers has them), so that the record is nearer to the truth than any engine.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from trt_nemotron.deploy.checkpoint.embedded import embedded_checkpoint_path

RECORD = Path(__file__).resolve().parents[1] / "deploy" / "compile" / "embedded_logits.npz"
QUESTION = "What is the capital of France?"
LENGTHS = (1, 33, 300)
"""Of prompts; a call takes 128 tokens where they are used, so the last takes three."""

STEPS = 64
EVERY = 8
"""Of so many logits one is recorded; of all of them, which leads and by how much."""


def prompt_ids(tokenizer: Any, length: int) -> list[int]:
    """The first tokens of a conversation that says the same again and again."""
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": QUESTION}], tokenize=False, add_generation_prompt=True
    )
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return (ids * (length // len(ids) + 1))[:length]


def follow(model: Any, prompt: Sequence[int], steps: int) -> Iterator[np.ndarray]:
    """Logits after the prompt, and after each of the likeliest tokens that follow."""
    with torch.no_grad():
        found = model(torch.tensor([list(prompt)]), use_cache=True)
        for _ in range(steps):
            logits = found.logits[0, -1]
            yield logits.numpy()
            found = model(
                logits.argmax()[None, None], past_key_values=found.past_key_values, use_cache=True
            )
        yield found.logits[0, -1].numpy()


def load_model(folder: Path, dtype: torch.dtype) -> Any:
    """A checkpoint in Transformers, in one thread, so that it sums in one order."""
    torch.set_num_threads(1)
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()


def main() -> None:
    """Write the record."""
    folder = embedded_checkpoint_path()
    model = load_model(folder, torch.float64)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    arrays = {}
    for length in LENGTHS:
        prompt = prompt_ids(tokenizer, length)
        logits = np.stack(list(follow(model, prompt, STEPS)))
        arrays[f"prompt_{length}"] = np.array(prompt, dtype=np.int64)
        arrays[f"tokens_{length}"] = logits.argmax(-1).astype(np.int64)
        best = np.sort(logits, axis=-1)
        arrays[f"leads_{length}"] = (best[:, -1] - best[:, -2]).astype(np.float32)
        arrays[f"logits_{length}"] = logits[:, ::EVERY].astype(np.float32)
    np.savez_compressed(RECORD, **arrays)


if __name__ == "__main__":
    main()
