"""Read an unpacked wheel of TensorRT Edge-LLM and print what we keep of it, or compare.

    pip download --no-deps tensorrt-edgellm==0.11.0 && unzip tensorrt_edgellm-0.11.0-*.whl -d TREE
    python tools/extract_edgellm.py --tree TREE                        # YAML to standard output
    python tools/extract_edgellm.py --tree TREE --compare 0.11.0       # differences, a line each

Nothing of `TREE` is imported or run. A wheel holds the payloads of one processor architecture, so
that only its own are compared. With `--compare` the exit code is 1 when the shipped file says
anything else.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgellm_sources.arguments import read_constant, read_flags
from release_facts import flow, plain, print_or_compare

from trt_nemotron.document import to_tree
from trt_nemotron.facts.catalogue import load_release

PACKAGE = "tensorrt_edgellm"
VARIANTS = f"{PACKAGE}/_native/variants.json"
ROUTES = "experimental/server/api/routes.py"
SERVER = ("experimental/server/config.py", frozenset({"api", "model"}))
PROGRAMS = {
    "tensorrt-edgellm-build": ("experimental/builder/cli.py", frozenset({"parser"})),
    "tensorrt-edgellm-export": (f"{PACKAGE}/scripts/export.py", frozenset({"p"})),
    "tensorrt-edgellm-quantize": (
        f"{PACKAGE}/scripts/quantize.py",
        frozenset({"parser", "llm_parser"}),
    ),
}
# Where constants come from that the files above import.
CONSTANTS = {
    "tensorrt-edgellm-build": ("experimental/builder/core/weight_policy.py", "weight_policy"),
    "tensorrt-edgellm-export": (f"{PACKAGE}/external_weights.py", ""),
    "tensorrt-edgellm-quantize": (f"{PACKAGE}/quantization/datasets/__init__.py", ""),
}
COMPARED = ("type", "default", "allowed", "aliases", "minimum", "maximum", "is_repeatable")


def main() -> int:
    """Print the facts, or the differences from a shipped release."""
    return print_or_compare(
        "Facts out of TensorRT Edge-LLM's wheel.", "the unpacked wheel", extract, as_yaml, compare
    )


def extract(tree: Path) -> dict[str, Any]:
    """Everything that can be read from the wheel under `tree`."""
    path, parsers = SERVER
    return {
        "version": read_constant(tree / PACKAGE / "_version.py", "__version__"),
        "flags": read_flags(tree / path, parsers, {}),
        "programs": [
            {"name": name, "flags": read_flags(tree / path, parsers, _constants(tree, name))}
            for name, (path, parsers) in PROGRAMS.items()
        ],
        "endpoints": dict(_endpoints(tree / ROUTES)),
        "payloads": list(_payloads(tree / VARIANTS)),
    }


def _constants(tree: Path, program: str) -> dict[str, Any]:
    path, _ = CONSTANTS[program]
    names = {
        "tensorrt-edgellm-quantize": (
            "DEFAULT_TEXT_DATASET", "DEFAULT_IMAGE_DATASET", "DEFAULT_AUDIO_DATASET",
        ),
    }.get(program, ("EXTERNAL_WEIGHT_CHOICES",))  # fmt: skip
    return {name: read_constant(tree / path, name) for name in names}


def _endpoints(path: Path) -> Iterator[tuple[str, list[str]]]:
    found: dict[str, list[str]] = {}
    for method, route in re.findall(r'@router\.(get|post)\("([^"]+)"\)', path.read_text()):
        found.setdefault(route, []).append(method.upper())
    return iter(found.items())


def _payloads(path: Path) -> Iterator[dict[str, Any]]:
    """One for each platform: a payload of two compute capabilities stands in two rows there."""
    rows: dict[str, dict[str, Any]] = {}
    for row in json.loads(path.read_text())["variants"]:
        payload = rows.setdefault(
            row["variant_id"],
            {
                "id": row["variant_id"],
                "architecture": row["cpu_arch"],
                "probe": row["platform_probe_source"],
                "probe_values": row["platform_probe_values"],
                "sms": [],
                "cuda": row["cuda_runtime_soname"],
                "tensorrt": row["tensorrt_runtime_soname"],
            },
        )
        payload["sms"].append(row["gpu_sm"])
    return iter(rows.values())


def as_yaml(facts: dict[str, Any]) -> str:
    """One fact a line, so that a difference between releases is a line too."""
    text = [f"# version: {facts['version']}", "endpoints:"]
    text += [f"  - {flow({'path': it, 'methods': how})}" for it, how in facts["endpoints"].items()]
    text += ["payloads:", *(f"  - {flow(it)}" for it in facts["payloads"])]
    text += ["flags:", *(f"  - {flow(it)}" for it in facts["flags"])]
    text.append("programs:")
    for program in facts["programs"]:
        text += [f"  - name: {program['name']}", "    flags:"]
        text += [f"      - {flow(it)}" for it in program["flags"]]
    return "\n".join(text) + "\n"


def compare(facts: dict[str, Any], release: str) -> Iterator[str]:
    """What the shipped release says otherwise than the sources."""
    shipped = plain(to_tree(load_release("edgellm", release)))
    yield from _compare_flags("flags", shipped["flags"], facts["flags"])
    ours = {program["name"]: program["flags"] for program in shipped["programs"]}
    for program in facts["programs"]:
        name = program["name"]
        yield from _compare_flags(name, ours.get(name, []), program["flags"])
    routes = {it["path"]: it["methods"] for it in shipped["endpoints"]}
    if routes != {path: list(how) for path, how in facts["endpoints"].items()}:
        yield f"endpoints: {sorted(routes)} here, {sorted(facts['endpoints'])} in the sources"
    known = {it["id"]: it for it in shipped["payloads"]}
    for payload in facts["payloads"]:
        here = known.get(payload["id"], {})
        if any(here.get(field) != value for field, value in payload.items()):
            yield f"payloads: {payload['id']}: {here} here, {payload} in the sources"


def _compare_flags(
    where: str, shipped: list[dict[str, Any]], read: list[dict[str, Any]]
) -> Iterator[str]:
    ours = {flag["name"]: flag for flag in shipped}
    theirs = {flag["name"]: flag for flag in read}
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in theirs or name not in ours:
            yield f"{where}: {name}: not in the {'sources' if name in ours else 'shipped file'}"
            continue
        for field in COMPARED:
            here, there = ours[name].get(field), plain(theirs[name].get(field))
            if (here or there) and here != there:
                yield f"{where}: {name}: {field}: {here!r} here, {there!r} in the sources"


if __name__ == "__main__":
    sys.exit(main())
