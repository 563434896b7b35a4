"""Flags out of calls of `argparse`, by reading the syntax tree."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Flag = dict[str, Any]

# Converters of the sources: type and least value.
_TYPES: dict[str, tuple[str, float | None]] = {
    "int": ("int", None),
    "float": ("float", None),
    "str": ("str", None),
    "_positive_int": ("int", 1),
    "_non_negative_int": ("int", 0),
    "_positive_float": ("float", 0),
    "_bounded_port": ("int", 1),
}
_LARGEST = {"_bounded_port": 65535}


def read_flags(path: Path, parsers: frozenset[str], constants: dict[str, Any]) -> list[Flag]:
    """Every flag that the file at `path` adds to a parser called so, in alphabetical order.

    Args:
        path: a source file.
        parsers: names of the variables that hold parsers or groups of one.
        constants: values of names that the file imports.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    known = {**constants, **_constants(tree)}
    found: dict[str, Flag] = {}
    for call in _calls(tree, parsers):
        flag = _flag(call, known)
        if flag is None:
            continue
        twin = next((it for it in found.values() if it["dest"] == flag["dest"]), None)
        if twin is not None:  # a switch and the one that turns it off
            twin["aliases"] = [*twin.get("aliases", []), flag["name"]]
        else:
            found[flag["name"]] = flag
    for flag in found.values():
        del flag["dest"]
    return sorted(found.values(), key=lambda flag: str(flag["name"]))


def read_constant(path: Path, name: str) -> Any:
    """The value of a module's constant; tuples may name others and be joined with `*`."""
    return _constants(ast.parse(path.read_text(encoding="utf-8")))[name]


def _constants(tree: ast.Module) -> dict[str, Any]:
    known: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            value = _value(node.value, known)
            if value is not None:
                known[node.targets[0].id] = value
    return known


def _calls(tree: ast.Module, parsers: frozenset[str]) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "add_argument"
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in parsers
        ):
            yield node


def _flag(call: ast.Call, constants: dict[str, Any]) -> Flag | None:
    names = [_value(it, constants) for it in call.args]
    words = {it.arg: it.value for it in call.keywords}
    is_hidden = "help" in words and ast.unparse(words["help"]) == "argparse.SUPPRESS"
    if is_hidden or not str(names[0]).startswith("--"):
        return None
    flag: Flag = {"name": names[0], "type": "str"}
    action = _value(words["action"], constants) if "action" in words else None
    if action in {"store_true", "store_false"}:
        flag |= {"type": "bool", "default": action == "store_false"}
    if "type" in words:
        converter = ast.unparse(words["type"])
        flag["type"], least = _TYPES[converter]
        flag |= {} if least is None else {"minimum": least}
        flag |= {"maximum": _LARGEST[converter]} if converter in _LARGEST else {}
    if "choices" in words:
        allowed = _value(words["choices"], constants)
        flag |= {"allowed": list(allowed)} if allowed else {}
    if action == "append" or "nargs" in words:
        flag["is_repeatable"] = True
    if names[1:]:
        flag["aliases"] = names[1:]
    if "default" in words:
        default = _value(words["default"], constants)
        flag |= {"default": default} if isinstance(default, str | int | float) else {}
    dest = _value(words["dest"], constants) if "dest" in words else None
    flag["dest"] = dest or str(names[0]).lstrip("-").replace("-", "_")
    return flag


def _value(node: ast.expr, constants: dict[str, Any]) -> Any:
    """A literal, a known name, or a tuple or list of both; nothing for what must be computed."""
    if isinstance(node, ast.Name):
        return constants.get(node.id)
    if isinstance(node, ast.Attribute):
        return constants.get(node.attr)
    if isinstance(node, ast.Tuple | ast.List):
        values: list[Any] = []
        for part in node.elts:
            if isinstance(part, ast.Starred):
                values += _value(part.value, constants) or []
            else:
                values.append(_value(part, constants))
        return None if None in values else tuple(values)
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None
