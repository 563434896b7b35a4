"""`tensorrt_llm/llmapi/llm_args.py`: the keys of the configuration file, with their defaults."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trtllm_sources.annotations import Annotated, read_annotation

ROOT_CLASS = "TorchLlmArgs"
ENUM_BASES = {"Enum", "StrEnum"}
NOT_KEYS = {"model", "model_config"}
BOUNDS = {"ge": ("minimum", 0), "gt": ("minimum", 1), "le": ("maximum", 0), "lt": ("maximum", -1)}

Setting = dict[str, Any]


def read_keys(path: Path) -> list[Setting]:
    """Every key that the file's root class takes, dotted, in alphabetical order."""
    return sorted(_Source(path.read_text()).keys_of(ROOT_CLASS), key=lambda item: item["name"])


class _Source:
    """The classes of one source file, by name."""

    def __init__(self, text: str) -> None:
        nodes = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
        self.classes = {node.name: node for node in nodes}
        self.enums = {
            name: tuple(_enum_values(node))
            for name, node in self.classes.items()
            if ENUM_BASES & _base_names(node)
        }
        self.models = set(self.classes) - set(self.enums)

    def keys_of(self, class_name: str, prefix: str = "") -> Iterator[Setting]:
        for node in self._fields(class_name).values():
            yield from self._keys_of_field(node, prefix)

    def _fields(self, class_name: str) -> dict[str, ast.AnnAssign]:
        """Fields of the class and its bases, the nearest definition winning."""
        found: dict[str, ast.AnnAssign] = {}
        node = self.classes.get(class_name)
        if node is None:
            return found
        for base in node.bases:
            if isinstance(base, ast.Name):
                found.update(self._fields(base.id))
        for line in node.body:
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
                name = line.target.id
                if not name.startswith("_") and name not in NOT_KEYS:
                    found[name] = line
        return found

    def _keys_of_field(self, node: ast.AnnAssign, prefix: str) -> Iterator[Setting]:
        meaning = read_annotation(node.annotation, self.models, self.enums)
        name = prefix + ast.unparse(node.target)
        yield _setting(name, meaning, node.value, self.enums)
        if meaning.class_name:
            yield from self.keys_of(meaning.class_name, f"{name}.")


def _setting(
    name: str, meaning: Annotated, value: ast.expr | None, enums: dict[str, tuple[str, ...]]
) -> Setting:
    setting: Setting = {"name": name, "type": meaning.type}
    if meaning.allowed:
        setting["allowed"] = list(meaning.allowed)
    if meaning.minimum is not None:
        setting["minimum"] = meaning.minimum
    if meaning.is_nullable:
        setting["is_nullable"] = True
    if meaning.type == "object" and not meaning.class_name:
        setting["is_open"] = True
    setting.update(_from_field(value, meaning, enums))
    return setting


def _from_field(
    value: ast.expr | None, meaning: Annotated, enums: dict[str, tuple[str, ...]]
) -> Setting:
    """Default, bounds and deprecation, out of `Field(...)` or a plain default."""
    if not isinstance(value, ast.Call):
        return _default_of(value, enums)
    arguments = {word.arg: word.value for word in value.keywords if word.arg}
    given = arguments.get("default", value.args[0] if value.args else None)
    found = {} if meaning.type == "object" else _default_of(given, enums)
    if "default_factory" in arguments:
        found = {} if meaning.type == "object" else {"is_default_known": False}
    for word, (bound, shift) in BOUNDS.items():
        node = arguments.get(word)
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            is_whole = meaning.type == "int"
            found[bound] = node.value + (shift if is_whole else 0)
    status = arguments.get("status")
    if isinstance(status, ast.Constant) and status.value == "deprecated":
        found["is_deprecated"] = True
    return found


def _default_of(node: ast.expr | None, enums: dict[str, tuple[str, ...]]) -> Setting:
    if node is None or (isinstance(node, ast.Constant) and node.value is Ellipsis):
        return {"is_default_known": False}
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        wanted = node.attr.casefold()
        values = enums.get(node.value.id, ())
        match = [word for word in values if word.casefold() == wanted]
        return {"default": match[0]} if match else {"is_default_known": False}
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return {"is_default_known": False}
    if isinstance(value, list | dict | tuple):
        return {"is_default_known": False}
    return {} if value is None else {"default": value}


def _base_names(node: ast.ClassDef) -> set[str]:
    return {base.id for base in node.bases if isinstance(base, ast.Name)}


def _enum_values(node: ast.ClassDef) -> Iterator[str]:
    """Values where they are words, names where they are numbers: what a file would say."""
    for line in node.body:
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            value = line.value
            is_word = isinstance(value, ast.Constant) and isinstance(value.value, str)
            yield value.value if is_word else line.targets[0].id  # type: ignore[attr-defined]
