"""Write the JSON Schemas of our own files, from the types that read them.

    python tools/write_schemas.py            # engine_configs/schemas/, ci/schemas/
    python tools/write_schemas.py --check    # exit 1 when a file is not current

An editor with a YAML language server then completes and checks the files: each names its schema
on its first line.
"""

import argparse
import inspect
import re
import sys
from pathlib import Path
from typing import Any

import msgspec

from trt_nemotron.document import Document, to_json, write_atomically
from trt_nemotron.facts.model import ModelFacts
from trt_nemotron.facts.release import RuntimeRelease
from trt_nemotron.facts.target import Target
from trt_nemotron.measure.baselines.changelog import PerfChangelog
from trt_nemotron.measure.gate.budget import Budget
from trt_nemotron.measure.gate.values import Verdict

ROOT = Path(__file__).resolve().parent.parent
KINDS: dict[str, type[Document]] = {
    "engine_configs/schemas/target.json": Target,
    "engine_configs/schemas/model.json": ModelFacts,
    "engine_configs/schemas/runtime-release.json": RuntimeRelease,
    "ci/schemas/budget.json": Budget,
    "ci/schemas/perf-changelog.json": PerfChangelog,
    "ci/schemas/verdict.json": Verdict,
}


def main() -> int:
    """Write every schema, or name those that are not current."""
    parser = argparse.ArgumentParser(description="JSON Schemas of our own files.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when stale")
    is_check = parser.parse_args().check
    stale = [name for name, kind in KINDS.items() if not _is_current(name, kind)]
    for name in stale:
        if not is_check:
            write_atomically(ROOT / name, schema_of(KINDS[name]))
        sys.stdout.write(f"{'stale' if is_check else 'wrote'}: {name}\n")
    return 1 if is_check and stale else 0


def schema_of(kind: type[Document]) -> bytes:
    """The schema of one kind of document, with `schema` fixed to its version."""
    tree: dict[str, Any] = msgspec.json.schema(kind)
    for part in tree["$defs"].values():
        _describe(part)
    definition = tree["$defs"][kind.__name__]
    definition["properties"]["schema"] = {"const": kind.SCHEMA}
    definition["required"] = ["schema", *definition.get("required", [])]
    return to_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **tree})


def _describe(part: dict[str, Any]) -> None:
    """Move what a docstring says of its attributes to the properties, where editors show it."""
    text = inspect.cleandoc(part.get("description", ""))
    summary, _, attributes = text.partition("\n\nAttributes:\n")
    part["description"] = " ".join(summary.split())
    for names, meaning in re.findall(
        r"^ {4}(\w[\w, ]*): (.*(?:\n {8}.*)*)", attributes, re.MULTILINE
    ):
        for name in names.split(", "):
            part["properties"][name]["description"] = " ".join(meaning.split())


def _is_current(name: str, kind: type[Document]) -> bool:
    path = ROOT / name
    return path.is_file() and path.read_bytes() == schema_of(kind)


if __name__ == "__main__":
    sys.exit(main())
