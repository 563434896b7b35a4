"""What a release of `trtllm-serve` takes, by the double's own reading of `engine_configs/`.

The data is the product's, the reading is not: nothing of `trt_nemotron.facts` is used, so that a
mistake of the product's reader shows as a disagreement.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

RELEASE_VARIABLE = "TRTLLM_DOUBLE_RELEASE"
FACTS_VARIABLE = "TRTLLM_DOUBLE_FACTS"
FACTS = Path(__file__).resolve().parents[3] / "engine_configs" / "runtimes" / "trtllm"
DEFAULT_RELEASE = "1.3.0rc14"

Entry = Mapping[str, Any]


class ContractUnreadable(Exception):
    """The release's file cannot be made sense of; a fault of the test's set-up."""


@dataclass(frozen=True)
class Contract:
    """One release: keys and flags by name, as YAML has them."""

    release: str
    keys: Mapping[str, Entry]
    flags: Mapping[str, Entry]
    winner: str
    hybrids: Entry
    cache_variables: tuple[Entry, ...]
    endpoints: tuple[Entry, ...]

    def default(self, key: str) -> Any:
        """What the server takes when nothing is said: a flag's default is always passed on."""
        for flag in self.flags.values():
            if flag.get("key") == key and "default" in flag:
                return flag["default"]
        return self.keys.get(key, {}).get("default")


def read_contract(release: str = "", folder: Path | None = None) -> Contract:
    """The contract of `release`, of the variable's, or of the default one."""
    name = release or os.environ.get(RELEASE_VARIABLE) or DEFAULT_RELEASE
    place = folder or Path(os.environ.get(FACTS_VARIABLE) or FACTS)
    tree = _joined(place, name)
    return Contract(
        release=name,
        keys=tree["keys"],
        flags=tree["flags"],
        winner=tree["precedence"]["winner"],
        hybrids=tree["hybrids"],
        cache_variables=tuple(tree["cache_variables"].values()),
        endpoints=tuple(tree["endpoints"].values()),
    )


def _joined(folder: Path, release: str) -> dict[str, Any]:
    """A release over the one that it extends, table by table."""
    file = folder / f"{release}.yaml"
    if not file.is_file():
        known = ", ".join(sorted(path.stem for path in folder.glob("*.yaml")))
        raise ContractUnreadable(f"no release {release!r} in {folder}; there are: {known}")
    told: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    base = _joined(folder, told["extends"]) if "extends" in told else {}
    for table, mark in (
        ("keys", "name"), ("flags", "name"), ("cache_variables", "name"), ("endpoints", "path"),
    ):  # fmt: skip
        entries = dict(base.get(table, {}))
        for gone in told.get(f"removed_{table}", ()):
            del entries[gone]
        entries.update({entry[mark]: entry for entry in told.get(table, ())})
        base[table] = entries
    for part in ("precedence", "hybrids"):
        base[part] = told.get(part) or base.get(part)
    return base
