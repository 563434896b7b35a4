"""The server's paths and the parsers it knows by name."""

import ast
from pathlib import Path

SERVER = "tensorrt_llm/serve/openai_server.py"
REASONING = "tensorrt_llm/llmapi/reasoning_parser.py"
TOOLS = "tensorrt_llm/serve/tool_parser/tool_parser_factory.py"


def read_endpoints(tree: Path) -> dict[str, list[str]]:
    """Methods by path, of the text server (not the encoder's), in the order of the source."""
    found: dict[str, list[str]] = {}
    for function in ast.walk(ast.parse((tree / SERVER).read_text())):
        if isinstance(function, ast.FunctionDef) and function.name == "register_routes":
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("add_api_route"):
                    path = ast.literal_eval(call.args[0])
                    methods = {word.arg: word.value for word in call.keywords}["methods"]
                    found.setdefault(path, []).extend(ast.literal_eval(methods))
    return dict(sorted(found.items()))


def read_reasoning_parsers(tree: Path) -> list[str]:
    """Names that `--reasoning_parser` takes."""
    return _names(tree / REASONING, "register_reasoning_parser")


def read_tool_parsers(tree: Path) -> list[str]:
    """Names that `--tool_parser` takes."""
    return _names(tree / TOOLS, "register_tool_parser")


def _names(path: Path, decorator: str) -> list[str]:
    """Keys of the factory's table, or first arguments of the registering decorator."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "parsers":
            keys = node.value.keys if isinstance(node.value, ast.Dict) else []
            found.update(key.value for key in keys if isinstance(key, ast.Constant))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == decorator:
            found.update(arg.value for arg in node.args if isinstance(arg, ast.Constant))
    return sorted(found)
