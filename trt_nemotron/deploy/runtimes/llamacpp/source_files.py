"""The JSON files beside a checkpoint's weights, as the converter reads them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trt_nemotron.errors import CheckpointUnusable


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """Parsed, not yet interpreted; an optional file that is not there is an empty mapping.

    Attributes:
        chat_template: Jinja text, empty when the checkpoint has none.
    """

    config: Mapping[str, Any]
    generation_config: Mapping[str, Any]
    tokenizer: Mapping[str, Any]
    tokenizer_config: Mapping[str, Any]
    chat_template: str


def read_source_files(folder: Path) -> SourceFiles:
    """Read what the converter needs beside the weights.

    Raises:
        CheckpointUnusable: a file is missing or is not what its name says.
    """
    tokenizer_config = _read_json(folder / "tokenizer_config.json", is_required=False)
    return SourceFiles(
        config=_read_json(folder / "config.json"),
        generation_config=_read_json(folder / "generation_config.json", is_required=False),
        tokenizer=_read_json(folder / "tokenizer.json"),
        tokenizer_config=tokenizer_config,
        chat_template=_read_chat_template(folder, tokenizer_config),
    )


def _read_json(path: Path, *, is_required: bool = True) -> Mapping[str, Any]:
    if not path.is_file():
        if not is_required:
            return {}
        raise CheckpointUnusable(
            f"{path.name} is missing",
            evidence=f"looked for {path}",
            next_step="Download the checkpoint again, with all its files.",
        )
    try:
        # The standard parser, not msgspec's: published files write `Infinity`.
        tree = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as fault:
        raise CheckpointUnusable(f"{path.name} is not valid JSON", evidence=str(fault)) from fault
    if not isinstance(tree, dict):
        raise CheckpointUnusable(f"{path.name} holds no JSON object", evidence=str(type(tree)))
    return tree


def _read_chat_template(folder: Path, tokenizer_config: Mapping[str, Any]) -> str:
    path = folder / "chat_template.jinja"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    match tokenizer_config.get("chat_template"):
        case str(template):
            return template
        case [*named]:
            texts = {entry["name"]: entry["template"] for entry in named}
            return str(texts.get("default", ""))
        case _:
            return ""
