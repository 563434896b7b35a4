"""Read TensorRT-LLM's sources of one release and print what we keep of them, or compare.

    git -C TensorRT-LLM archive v1.3.0rc6 tensorrt_llm tests/unittest/api_stability | tar x -C TREE
    python tools/extract_trtllm.py --tree TREE                        # YAML to standard output
    python tools/extract_trtllm.py --tree TREE --compare 1.3.0rc6     # differences, a line each

`TREE` is the folder that holds `tensorrt_llm/`; nothing of it is imported or run. Only facts are
taken: names, types, defaults, bounds and allowed words. With `--compare` the exit code is 1 when
the shipped file says anything else.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from release_facts import flow, print_or_compare
from trtllm_sources.arguments import read_keys
from trtllm_sources.command_line import read_flags
from trtllm_sources.manifest import add_words
from trtllm_sources.server import read_endpoints, read_reasoning_parsers, read_tool_parsers

from trt_nemotron.document import to_tree
from trt_nemotron.facts.catalogue import load_release

LLM_ARGS = "tensorrt_llm/llmapi/llm_args.py"
VERSION = "tensorrt_llm/version.py"
# Ours: what the sources do not say.
NOT_COMPARED = {"trap", "source", "certainty", "is_default_known", "is_deprecated", "is_nullable"}
# Ours where the sources say nothing: bounds in validators, words of free strings.
ADDED_BY_HAND = {"allowed", "minimum", "maximum"}


def main() -> int:
    """Print the facts, or the differences from a shipped release."""
    return print_or_compare(
        "Facts out of TensorRT-LLM's sources.",
        "folder that holds tensorrt_llm/",
        extract,
        as_yaml,
        compare,
    )


def extract(tree: Path) -> dict[str, Any]:
    """Everything that can be read from the sources under `tree`."""
    keys = add_words(read_keys(tree / LLM_ARGS), tree)
    flags = read_flags(tree, {key["name"] for key in keys})
    parsers = {"reasoning": read_reasoning_parsers(tree), "tool": read_tool_parsers(tree)}
    for flag in flags:
        words = parsers.get(flag["name"].removeprefix("--").removesuffix("_parser"))
        if words and "allowed" not in flag:
            flag["allowed"] = words
    return {
        "version": (tree / VERSION).read_text().split('"')[-2],
        "parsers": parsers,
        "endpoints": read_endpoints(tree),
        "flags": flags,
        "keys": keys,
    }


def as_yaml(facts: dict[str, Any]) -> str:
    """One setting a line, so that a difference between releases is a line too."""
    text = [f"# version: {facts['version']}", "parsers:"]
    text += [f"  {kind}: {flow(names)}" for kind, names in facts["parsers"].items()]
    text.append("endpoints:")
    text += [
        f"  - {flow({'path': path, 'methods': methods})}"
        for path, methods in facts["endpoints"].items()
    ]
    for part in ("flags", "keys"):
        text.append(f"{part}:")
        text += [f"  - {flow(setting)}" for setting in facts[part]]
    return "\n".join(text) + "\n"


def compare(facts: dict[str, Any], release: str) -> Iterator[str]:
    """What the shipped release says otherwise than the sources."""
    shipped = to_tree(load_release("trtllm", release))
    for part in ("flags", "keys"):
        ours = {setting["name"]: setting for setting in shipped[part]}
        theirs = {setting["name"]: setting for setting in facts[part]}
        for name in sorted(ours.keys() | theirs.keys()):
            if name not in theirs:
                yield f"{part}: {name}: not in the sources"
            elif name not in ours:
                yield f"{part}: {name}: not in the shipped file"
            else:
                yield from _differences(f"{part}: {name}", ours[name], theirs[name])
    for kind, names in facts["parsers"].items():
        if sorted(shipped["parsers"][kind]) != names:
            yield f"parsers: {kind}: {shipped['parsers'][kind]} here, {names} in the sources"


def _differences(where: str, ours: dict[str, Any], theirs: dict[str, Any]) -> Iterator[str]:
    empty: dict[str, Any] = {"allowed": [], "aliases": [], "key": "", "is_repeatable": False}
    for field in sorted(ours.keys() - NOT_COMPARED):
        here, there = ours[field], theirs.get(field, empty.get(field))
        if field in ADDED_BY_HAND and not there and there != 0:
            continue
        if field in {"allowed", "aliases"}:
            here, there = sorted(map(str, here)), sorted(map(str, there or []))
        if here != there and (here or there):
            yield f"{where}: {field}: {here!r} here, {there!r} in the sources"


if __name__ == "__main__":
    sys.exit(main())
