"""What the double prints while it starts: the real server's lines, with the double's own figures.

The texts stand, each with its source, in tests/deploy/runtimes/trtllm/start_log_lines.yaml; the
product's reading of logs is tested against the same list.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, TextIO

import yaml

LINES = Path(__file__).resolve().parents[2] / "deploy/runtimes/trtllm/start_log_lines.yaml"

_CPP = {"I": "INFO", "W": "WARNING", "E": "ERROR"}


class StartLog:
    """Prints lines by their id; a figure that a template does not have is an error."""

    def __init__(self, stream: TextIO | None = None, path: Path = LINES) -> None:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        self._lines = {it["id"]: it for it in (*tree["lines"], *tree["failures"])}
        self._stream = stream

    def say(self, name: str, **figures: Any) -> None:
        """Print the line called `name`."""
        line = self._lines[name]
        text = line["template"].format(**figures)
        self._print(_prefix(line["prefix"], line.get("level", "I")) + text)

    def text(self, name: str, **figures: Any) -> str:
        """The line called `name` without its prefix."""
        return str(self._lines[name]["template"].format(**figures))

    def caution(self, text: str) -> None:
        """Print a warning in the words of the double itself."""
        self._print(_prefix("python", "W") + text)

    def note(self, text: str) -> None:
        """Print what only the double says."""
        self._print(f"[trtllm-serve double] {text}")

    def _print(self, text: str) -> None:
        print(text, file=self._stream or sys.stdout, flush=True)


def _prefix(kind: str, level: str) -> str:
    if kind == "python":
        return f"[{time.strftime('%m/%d/%Y-%H:%M:%S')}] [TRT-LLM] [{level}] "
    if kind == "cpp":
        return f"[TensorRT-LLM][{_CPP.get(level, level)}] "
    return "INFO:     " if kind == "uvicorn" else ""
