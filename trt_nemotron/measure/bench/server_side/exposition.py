"""Prometheus' text format, read strictly: a line that is none is an error, never a guess.

Format: https://github.com/prometheus/docs/blob/main/docs/instrumenting/exposition_formats.md (text
version 0.0.4). Only samples are kept; `# HELP`, `# TYPE` and other comments are passed over.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from trt_nemotron.errors import InvalidInput

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r'[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\\n]|\\[\\"n])*)"[ \t]*')
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_WORDS = {"+inf": math.inf, "inf": math.inf, "-inf": -math.inf, "nan": math.nan}
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


@dataclass(frozen=True, slots=True)
class Sample:
    """One line: a name, its labels and the value; a time stamp is passed over."""

    name: str
    labels: tuple[tuple[str, str], ...]
    value: float


def read_samples(text: str) -> tuple[Sample, ...]:
    """Every sample of a page, in its order.

    Raises:
        InvalidInput: a line is neither a sample nor a comment nor empty.
    """
    return tuple(_samples(text))


def _samples(text: str) -> Iterator[Sample]:
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip(" \t\r")
        if not stripped or stripped.startswith("#"):
            continue
        try:
            yield _sample(stripped)
        except ValueError as fault:
            raise InvalidInput(
                f"line {number} is no sample of Prometheus' text format",
                evidence=f"{fault}: {stripped[:200]!r}",
            ) from fault


def _sample(line: str) -> Sample:
    name = _NAME.match(line)
    if name is None:
        raise ValueError("no name")
    labels, rest = _labels(line[name.end() :].lstrip(" \t"))
    if rest == line[name.end() :]:
        raise ValueError("no space after the name")
    words = rest.split()
    if len(words) not in {1, 2} or (len(words) == 2 and not words[1].lstrip("-").isdecimal()):
        raise ValueError("not a value and at most a time")
    return Sample(name[0], labels, _number(words[0]))


def _labels(text: str) -> tuple[tuple[tuple[str, str], ...], str]:
    """The labels in braces, where there are any, and what follows them."""
    if not text.startswith("{"):
        return (), text
    found: list[tuple[str, str]] = []
    place = 1
    while text[place:].lstrip(" \t")[:1] != "}":
        label = _LABEL.match(text, place)
        if label is None:
            raise ValueError("a label that is none")
        found.append((label[1], re.sub(r"\\.", lambda at: _ESCAPES[at[0]], label[2])))
        place = label.end()
        if text[place : place + 1] == ",":
            place += 1
        elif text[place : place + 1] != "}":
            raise ValueError("labels without an end")
    return tuple(found), text[text.index("}", place) + 1 :]


def _number(word: str) -> float:
    known = _WORDS.get(word.lower())
    if known is not None:
        return known
    if _NUMBER.fullmatch(word) is None:
        raise ValueError("a value that is no number")
    return float(word)
