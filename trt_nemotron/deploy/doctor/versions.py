"""Versions of other people's programs: numbers with dots, compared as numbers."""

import re


def version_in(text: str) -> str:
    """The first version in a text, as `580.126.09`; empty when there is none."""
    found = re.search(r"(?<![\d.])[0-9]{1,6}(?:\.[0-9]{1,6})+", text)
    return found.group(0) if found else ""


def is_at_least(version: str, minimum: str) -> bool:
    """Whether one version is not older than the other; both of digits and dots."""
    mine, least = ([int(part) for part in it.split(".")] for it in (version, minimum))
    length = max(len(mine), len(least))
    return mine + [0] * (length - len(mine)) >= least + [0] * (length - len(least))
