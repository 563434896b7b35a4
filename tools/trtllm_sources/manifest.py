"""`tensorrt_llm/usage/llm_args_golden_manifest.json`: words that a free string may be.

The manifest lists categorical and numeric fields with what they may hold; the words of a plain
`str` stand nowhere else. It has no defaults and no free-form strings.
"""

import json
from pathlib import Path
from typing import Any

MANIFEST = "tensorrt_llm/usage/llm_args_golden_manifest.json"


def add_words(keys: list[dict[str, Any]], tree: Path) -> list[dict[str, Any]]:
    """`keys` with the manifest's words where the source has none."""
    path = tree / MANIFEST
    if not path.exists():
        return keys
    fields = json.loads(path.read_text())["TorchLlmArgs"]
    words = {field["path"]: field.get("allowed_values") or [] for field in fields}
    return [
        {**key, "allowed": words[key["name"]]}
        if key["type"] == "str" and "allowed" not in key and words.get(key["name"])
        else key
        for key in keys
    ]
