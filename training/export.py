"""The checkpoint's files, written so that every loader reads them and no byte is left to chance.

`save_pretrained` is not used: it records library versions, writes an infinite
`time_step_limit` as an object that other readers refuse, and adds expert counts that make
converters take a dense model for a mixture of experts.
"""

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from training.chat import ChatTemplate
from training.model import CONFIG, CONTEXT_LENGTH, GENERATION_CONFIG
from training.tokenizer import tokenizer_config


def write_checkpoint(
    folder: Path, model: Any, tokenizer: Tokenizer, template: ChatTemplate
) -> dict[str, str]:
    """Write all files of a checkpoint into `folder` and return the SHA-256 of each by name.

    Files are written aside and moved into place one by one, so that an interruption leaves no
    half-written file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as aside:
        staging = Path(aside)
        save_file(_weights(model), staging / "model.safetensors", metadata={"format": "pt"})
        _write_json(staging / "config.json", CONFIG)
        _write_json(staging / "generation_config.json", GENERATION_CONFIG)
        _write_json(staging / "tokenizer_config.json", tokenizer_config(CONTEXT_LENGTH))
        _write_json(staging / "tokenizer.json", json.loads(tokenizer.to_str()))
        (staging / "chat_template.jinja").write_text(template.source, encoding="utf-8")
        written = sorted(staging.iterdir())
        digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in written}
        for path in written:
            path.chmod(0o644)
            path.replace(folder / path.name)
    return digests


def _weights(model: Any) -> dict[str, torch.Tensor]:
    """The weights under NVIDIA's names: `backbone.` where `transformers` says `model.`."""
    return {
        name.replace("model.", "backbone.", 1) if name.startswith("model.") else name: tensor
        for name, tensor in model.state_dict().items()
    }


def _write_json(path: Path, document: object) -> None:
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
