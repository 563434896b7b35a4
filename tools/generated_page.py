"""A page under docs/ that a program writes: written, or with --check only compared."""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

from trt_nemotron.document import write_atomically

_ROOT = Path(__file__).resolve().parent.parent


def keep_page(name: str, text: Callable[[], str], description: str) -> int:
    """Write docs/`name`; with `--check` on the command line, only say whether it is stale.

    Returns:
        The exit code: 1 for a page that is stale and was to be checked.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when stale")
    is_check = parser.parse_args().check
    path, wanted = _ROOT / "docs" / name, text().encode()
    if path.is_file() and path.read_bytes() == wanted:
        return 0
    if not is_check:
        write_atomically(path, wanted)
    sys.stdout.write(f"{'stale' if is_check else 'wrote'}: docs/{name}\n")
    return 1 if is_check else 0


def linked(text: str) -> str:
    """Bare addresses as links, so that Markdown shows them."""
    return re.sub(r"(?<![(<])(https://[^\s)]+)", r"<\1>", text)
