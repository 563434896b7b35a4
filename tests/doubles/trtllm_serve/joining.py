"""Flags and file joined by the release's precedence; what lost is said aloud.

Before 1.3.0rc18 the file wins, `kv_cache_config` key by key (`update_llm_args_with_extra_dict`);
from then on a typed flag does (https://github.com/NVIDIA/TensorRT-LLM/pull/14812). A flag's
default never beats the file.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.doubles.trtllm_serve.arguments import value_at
from tests.doubles.trtllm_serve.command_line import Typed
from tests.doubles.trtllm_serve.contract import Contract

Tree = dict[str, Any]
CONFIG_FLAG = "--extra_llm_api_options"


def read_file(path: str | None) -> Tree:
    """The mapping in the file; empty without one. Raises what `yaml` and `open` raise."""
    if path is None:
        return {}
    tree = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise TypeError(f"argument after ** must be a mapping, not {type(tree).__name__}")
    return tree


def join(contract: Contract, typed: Typed, file: Mapping[str, Any]) -> tuple[Tree, list[str]]:
    """The arguments, and a warning for each knob that stands in both places."""
    tree: Tree = {}
    warnings: list[str] = []
    for path, value in _from_flags(contract, typed, only_typed=False):
        _put(tree, path, value)
    _overlay(tree, copy.deepcopy(dict(file)))
    for path, value in _from_flags(contract, typed, only_typed=True):
        inside = value_at(file, path)
        if inside is None:
            continue
        if contract.winner == "flag":
            _put(tree, path, value)
            warnings.append(f"{path}={inside!r} of the file is overridden by the flag: {value!r}")
        else:
            name = typed.values.get(CONFIG_FLAG)
            warnings.append(f"Overriding {path} because it's specified in {name}")
    return tree, warnings


def _from_flags(contract: Contract, typed: Typed, *, only_typed: bool) -> Iterator[tuple[str, Any]]:
    for name, value in typed.values.items():
        path = contract.flags[name].get("key")
        if path and value is not None and path in contract.keys:
            is_said = name in typed.typed
            if is_said or (not only_typed and "default" in contract.flags[name]):
                yield path, value


def _put(tree: Tree, path: str, value: Any) -> None:
    *sections, last = path.split(".")
    for section in sections:
        inner = tree.get(section)
        if not isinstance(inner, dict):
            inner = tree[section] = {}
        tree = inner
    tree[last] = value


def _overlay(tree: Tree, file: Tree) -> None:
    for name, value in file.items():
        before = tree.get(name)
        if name == "kv_cache_config" and isinstance(before, dict) and isinstance(value, dict):
            before.update(value)
        else:
            tree[name] = value
