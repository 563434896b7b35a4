"""What the programs that read a runtime's sources share: their command line, one fact a line."""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

Facts = dict[str, Any]


def print_or_compare(
    description: str,
    tree_help: str,
    extract: Callable[[Path], Facts],
    as_yaml: Callable[[Facts], str],
    compare: Callable[[Facts, str], Iterator[str]],
) -> int:
    """Print the facts under `--tree`; with `--compare`, their differences from a shipped release.

    Returns:
        The exit code: 1 when there are differences.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--tree", type=Path, required=True, help=tree_help)
    parser.add_argument("--compare", metavar="RELEASE", help="compare with this shipped release")
    options = parser.parse_args()
    facts = extract(options.tree)
    if not options.compare:
        sys.stdout.write(as_yaml(facts))
        return 0
    differences = list(compare(facts, options.compare))
    for line in differences:
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"{len(differences)} differences\n")
    return 1 if differences else 0


def flow(value: Any) -> str:
    """A value as one line of YAML."""
    text = yaml.safe_dump(plain(value), default_flow_style=True, sort_keys=False, width=10_000)
    return text.strip()


def plain(value: Any) -> Any:
    """The value with lists for tuples, as a YAML file would have it."""
    if isinstance(value, dict):
        return {name: plain(it) for name, it in value.items()}
    return [plain(it) for it in value] if isinstance(value, list | tuple) else value
