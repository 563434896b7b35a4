"""The screen of a check: a line for each stage, what it is doing now, then figures and verdict."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trt_nemotron.cli.console import console, drawn_progress
from trt_nemotron.pipeline.record import STAGES, StageName, StageOutcome
from trt_nemotron.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console

    from trt_nemotron.measure.smoke.values import SmokeResult
    from trt_nemotron.pipeline.order import CheckResult

_SIGNS = {"done": "[green]✓[/]", "failed": "[red]✗[/]", "skipped": "[dim]–[/]"}  # noqa: RUF001
_PHASELESS = {"smoke"}
"""Stages that say no phase of their own: without one their steps would be shown under the last."""

_WIDTH = max(map(len, STAGES))


class CheckScreen:
    """An audience of a check that draws on standard error, or is silent.

    Args:
        screen: where lines that stay are printed.
        progress: what is drawn and wiped while a stage works.
    """

    def __init__(self, screen: "Console", progress: Progress, *, is_quiet: bool) -> None:
        self._screen = screen
        self._progress = progress
        self._is_quiet = is_quiet
        self._stage = ""
        self._smoke_count = 0

    def phase(self, text: str) -> None:
        """Show what the stage does now."""
        self._progress.phase(f"{self._stage}: {text}")

    def step(self, done: int, total: int, unit: str) -> None:
        """Move the bar."""
        self._progress.step(done, total, unit)

    def note(self, text: str) -> None:
        """Print a finding that stays."""
        self._progress.note(text)

    def stage_begins(self, name: StageName) -> None:
        """Show the stage as the one at work; plain output has a line when it ends."""
        self._stage = name
        if self._screen.is_terminal or name in _PHASELESS:
            self._progress.phase(name)

    def stage_ends(self, outcome: StageOutcome) -> None:
        """Print how the stage ended, a line that stays."""
        if self._is_quiet:
            return
        from rich.markup import escape

        duration = f"{outcome.duration_s:.1f} s" if outcome.status != "skipped" else ""
        self._screen.print(
            f"{_SIGNS[outcome.status]} [bold]{outcome.name:{_WIDTH}}[/] [dim]{duration:>7}[/]  "
            f"{escape(outcome.summary)}",
            soft_wrap=True,
        )

    def smoke_result(self, result: "SmokeResult") -> None:
        """Count the checks asked; print those that failed."""
        from rich.markup import escape

        from trt_nemotron.measure.smoke.registry import CHECKS

        self._smoke_count += 1
        self._progress.step(self._smoke_count, len(CHECKS), "checks")
        if result.status == "fail" and not self._is_quiet:
            self._screen.print(
                f"  [red]✗[/] {result.name}: {escape(result.reason)}", soft_wrap=True
            )

    def conclude(self, result: "CheckResult") -> None:
        """Draw the figures and the verdict, and say where everything is."""
        from rich.text import Text

        from trt_nemotron.measure.report.contents import notice_for

        if result.measurement is not None:
            from trt_nemotron.cli.bench_table import render_bench
            from trt_nemotron.measure.bench.figures.summarise import summarise

            self._screen.print(render_bench(result.measurement, summarise(result.measurement)))
        if result.verdict is not None and result.measurement is not None:
            from trt_nemotron.measure.report.terminal import verdict_view

            notice = notice_for(result.measurement.environment)
            self._screen.print(verdict_view(result.verdict, notice))
        else:
            self._screen.print(Text("FAIL: the server does not answer rightly", style="bold red"))
        self._screen.print(
            f"\nReport: {result.record.folder}/report.html", markup=False, soft_wrap=True
        )


@contextmanager
def drawn_check(*, is_quiet: bool) -> Iterator[CheckScreen]:
    """A screen for the time of the block; silent when `is_quiet`."""
    screen = console()
    with drawn_progress(is_quiet=is_quiet, screen=screen) as progress:
        yield CheckScreen(screen, progress, is_quiet=is_quiet)
