"""Progress: how long work tells whoever waits what it is doing.

Stages take a `Progress` as a parameter and never print. The CLI draws it on standard error; tests
and library callers pass `SILENT` or a recorder of their own.
"""

from typing import Protocol


class Progress(Protocol):
    """What a stage may say while it works."""

    def phase(self, text: str) -> None:
        """A new phase begins; `text` is a short present participle: `hashing weights`."""

    def step(self, done: int, total: int, unit: str) -> None:
        """`done` of `total` units of the current phase are finished (`unit`: `B`, `requests`)."""

    def note(self, text: str) -> None:
        """A finding worth a line that stays on the screen."""


class _Silent:
    def phase(self, text: str) -> None:
        pass

    def step(self, done: int, total: int, unit: str) -> None:
        pass

    def note(self, text: str) -> None:
        pass


SILENT: Progress = _Silent()
