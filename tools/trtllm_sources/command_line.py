"""The flags of `trtllm-serve serve`: from the contract file where there is one, else from click."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CONTRACT = "tests/unittest/api_stability/references/trtllm_serve_cli.yaml"
SERVE = "tensorrt_llm/commands/serve.py"
BUILDER = "tensorrt_llm/builder.py"
TYPES = {"int": "int", "float": "float", "str": "str", "bool": "bool", "Path": "str"}
# Flags whose key in the configuration file has another name or place.
KEYS = {
    "free_gpu_memory_fraction": "kv_cache_config.free_gpu_memory_fraction",
    "kv_cache_dtype": "kv_cache_config.dtype",
}

Flag = dict[str, Any]


def read_flags(tree: Path, key_names: set[str]) -> list[Flag]:
    """Every flag of the `serve` command, in alphabetical order.

    Args:
        tree: root of the sources.
        key_names: keys of the configuration file, to tell which of them a flag sets.
    """
    contract = tree / CONTRACT
    read = _from_contract(contract) if contract.exists() else _from_click(tree)
    flags = [_with_key(name, flag, key_names) for name, flag in read]
    return sorted(flags, key=lambda flag: flag["name"])


def _with_key(name: str, flag: Flag, key_names: set[str]) -> Flag:
    key = KEYS.get(name, name)
    return {**flag, "key": key} if key in key_names else flag


def _flag(names: list[str], kind: str) -> Flag:
    """The longest spelling is the name, as the field in the file is spelled."""
    ordered = sorted(names, key=lambda name: (name.startswith("--no-"), -len(name)))
    flag: Flag = {"name": ordered[0], "type": kind}
    if ordered[1:]:
        flag["aliases"] = sorted(ordered[1:])
    return flag


def _from_contract(path: Path) -> Iterator[tuple[str, Flag]]:
    import yaml

    options = yaml.safe_load(path.read_text())["commands"]["serve"]["options"]
    for name, option in options.items():
        kind = "str" if option["type"].startswith("Choice") else TYPES.get(option["type"], "str")
        flag = _flag(option["flags"], kind)
        if option["type"].startswith("Choice"):
            flag["allowed"] = ast.literal_eval(option["type"].removeprefix("Choice"))
        if option["default"] is not None:
            flag["default"] = option["default"]
        if option.get("multiple"):
            flag["is_repeatable"] = True
        if option["status"] == "deprecated":
            flag["is_deprecated"] = True
        yield name, flag


def _from_click(tree: Path) -> Iterator[tuple[str, Flag]]:
    defaults = _build_defaults(tree / BUILDER)
    for call in _options_of_serve((tree / SERVE).read_text()):
        words = [arg.value for arg in call.args if isinstance(arg, ast.Constant)]
        names = [word for word in words if word.startswith("-")]
        plain = [word for word in words if not word.startswith("-")]
        parameter = plain[0] if plain else names[0].lstrip("-").replace("-", "_")
        yield parameter, _flag_of_option(names, call, defaults)


def _options_of_serve(text: str) -> Iterator[ast.Call]:
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == "serve":
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == (
                    "click.option"
                ):
                    yield decorator


def _flag_of_option(names: list[str], call: ast.Call, defaults: dict[str, Any]) -> Flag:
    words = {word.arg: word.value for word in call.keywords if word.arg}
    is_switch = "is_flag" in words
    kind = ast.unparse(words["type"]) if "type" in words else "str"
    flag = _flag(names, "bool" if is_switch else TYPES.get(kind, "str"))
    choices = re.search(r"Choice\w*\((\[[^\]]*\])", kind)
    if choices:
        flag["allowed"] = ast.literal_eval(choices.group(1))
    flag.update(_default_of(words.get("default"), defaults))
    if "multiple" in words:
        flag["is_repeatable"] = True
    return flag


def _default_of(node: ast.expr | None, defaults: dict[str, Any]) -> Flag:
    if node is None:
        return {}
    field = re.fullmatch(r"BuildConfig\.model_fields\['(\w+)'\]\.default", ast.unparse(node))
    if field:
        value = defaults.get(field.group(1))
    elif isinstance(node, ast.Constant):
        value = node.value
    else:
        return {"is_default_known": False}
    return {} if value is None else {"default": value}


def _build_defaults(path: Path) -> dict[str, Any]:
    """Defaults of `BuildConfig`, which the flags of older releases borrow."""
    found: dict[str, Any] = {}
    if not path.exists():
        return found
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef) and node.name == "BuildConfig":
            for line in node.body:
                if isinstance(line, ast.AnnAssign) and isinstance(line.value, ast.Call):
                    for word in line.value.keywords:
                        if word.arg == "default" and isinstance(word.value, ast.Constant):
                            found[ast.unparse(line.target)] = word.value.value
    return found
