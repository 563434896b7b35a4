"""What commands print: people read standard error, programs read standard output."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import click

from trt_nemotron.progress import SILENT, Progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars

FunctionT = TypeVar("FunctionT", bound=Callable[..., object])


def json_option(function: FunctionT) -> FunctionT:
    """`--json`: the result as JSON on standard output, nothing else there."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print the result as JSON on standard output."
    )(function)


def dry_run_option(function: FunctionT) -> FunctionT:
    """`--dry-run`: say what would be done, change nothing."""
    return click.option("--dry-run", is_flag=True, help="Show what would be done; change nothing.")(
        function
    )


def print_json(value: object) -> None:
    """A value as JSON on standard output: UTF-8 whatever the terminal, nothing without one."""
    from trt_nemotron.document import to_json

    click.echo(to_json(value), nl=False)


_LEAST_COLUMNS = 40
"""A table in fewer is a pillar of letters, and in none (`COLUMNS=0`, some terminals without a size)
nothing at all is printed."""


def console() -> "Console":
    """A console on standard error; colour is off without a terminal and with NO_COLOR."""
    from rich.console import Console

    screen = Console(stderr=True, highlight=False)
    if screen.width < _LEAST_COLUMNS:
        screen = Console(stderr=True, highlight=False, width=_LEAST_COLUMNS)
    return screen


_PACE_S = 10.0
"""Without a terminal, a phase that goes on says how far it is this often."""


class DrawnProgress:
    """A `Progress` drawn on standard error: a moving line on a terminal, plain lines elsewhere.

    Args:
        screen: where to draw.
        bars: the moving line; nothing without a terminal.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        screen: "Console",
        bars: "Bars | None",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._screen = screen
        self._clock = clock
        self._said_at = clock()
        self._bars = bars
        self._task = bars.add_task("", total=None, rate="") if bars is not None else None
        self._phase = ""
        self._begun_at = self._said_at

    def phase(self, text: str) -> None:
        """Show the phase; one that is told twice in a row is shown once."""
        if text == self._phase:
            return
        self._phase = text
        self._begun_at = self._clock()
        if self._bars is not None and self._task is not None:
            self._bars.reset(self._task, description=text, total=None, rate="")
        else:
            self._say(text)

    def step(self, done: int, total: int, unit: str) -> None:
        """Move the bar; plain output has a line now and then."""
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, completed=done, total=total, rate=self._rate(done, unit))
        elif self._clock() - self._said_at >= _PACE_S:
            self._say(f"{self._phase or 'working'}: {done:,} of {total:,} {unit}")

    def _rate(self, done: int, unit: str) -> str:
        """Requests a second; of what is counted in bytes or seconds a rate says little."""
        seconds = self._clock() - self._begun_at
        return f"{done / seconds:.3g}/s" if unit == "requests" and seconds > 0 else ""

    def note(self, text: str) -> None:
        """Print a line that stays."""
        self._say(text)

    def _say(self, text: str) -> None:
        self._said_at = self._clock()
        self._screen.print(f"  {text}", markup=False)


@contextmanager
def drawn_progress(
    *, is_quiet: bool = False, screen: "Console | None" = None
) -> Iterator[Progress]:
    """A progress for the time of the block; nothing at all when `is_quiet`.

    Whoever prints lines of its own meanwhile hands over the `screen` it prints them on: a line
    printed past the moving one would break it.
    """
    if is_quiet:
        yield SILENT
        return
    screen = screen or console()
    if not screen.is_terminal:
        yield DrawnProgress(screen, None)
        return
    from rich.progress import (
        BarColumn,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as RichProgress

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    # Drawing takes some milliseconds of the one interpreter, and a bench may be running in it.
    with RichProgress(*columns, console=screen, transient=True, refresh_per_second=4) as bars:
        yield DrawnProgress(screen, bars)
