"""What `gate` leaves: files for programs, annotations for a workflow, a table for people."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trt_nemotron.cli.console import console, print_json

if TYPE_CHECKING:
    from trt_nemotron.measure.gate.values import Verdict


_NAMES = ("verdict.json", "verdict.junit.xml", "verdict.md")


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where a verdict goes; what is `None` is not written.

    Attributes:
        out: a folder for verdict.json, verdict.md and verdict.junit.xml.
        is_github: annotations on standard output.
        is_json: the verdict on standard output.
    """

    out: Path | None = None
    junit: Path | None = None
    markdown: Path | None = None
    openmetrics: Path | None = None
    is_github: bool = False
    is_json: bool = False

    def files(self) -> "dict[str, Path | None]":
        """Every file that is asked for, by the option that names it."""
        inside = {} if self.out is None else {f"--out ({n})": self.out / n for n in _NAMES}
        named = {
            "--junit": self.junit,
            "--markdown": self.markdown,
            "--openmetrics": self.openmetrics,
        }
        return {**named, **inside}


def conclude(
    verdict: "Verdict", notice: str, outputs: Outputs, *, budget: str = "", is_dry: bool = False
) -> int:
    """Write and show a verdict.

    Args:
        verdict: what was found.
        notice: what a reader must know before any figure.
        outputs: where it goes.
        budget: as the user named it; annotations are pinned to it where it is a file.
        is_dry: nothing is written, only shown.

    Returns:
        The exit code of its decision.
    """
    from trt_nemotron.measure.gate.outcome import exit_code

    if not is_dry:
        _write(verdict, notice, outputs)
    if outputs.is_github:
        _print_annotations(verdict, budget)
    if outputs.is_json:
        print_json(verdict)
    else:
        from trt_nemotron.measure.report.terminal import verdict_view

        console().print(verdict_view(verdict, notice))
    return exit_code(verdict.decision)


def _write(verdict: "Verdict", notice: str, outputs: Outputs) -> None:
    from trt_nemotron.document import write_atomically, write_document
    from trt_nemotron.measure.report.junit import render_junit
    from trt_nemotron.measure.report.markdown import render_markdown
    from trt_nemotron.measure.report.openmetrics import render_openmetrics

    out = outputs.out
    if out is not None:
        write_document(out / "verdict.json", verdict)
    for path in (outputs.junit, out and out / "verdict.junit.xml"):
        if path is not None:
            write_atomically(path, render_junit(verdict))
    for path in (outputs.markdown, out and out / "verdict.md"):
        if path is not None:
            write_atomically(path, render_markdown(verdict, notice).encode())
    if outputs.openmetrics is not None:
        write_atomically(outputs.openmetrics, render_openmetrics(verdict).encode())


def _print_annotations(verdict: "Verdict", budget: str) -> None:
    """Pinned to the budget where it is a file of the repository that the job stands in."""
    from trt_nemotron.measure.report.annotations import render_annotations

    is_inside = bool(budget) and Path(budget).is_file() and not Path(budget).is_absolute()
    click.echo(render_annotations(verdict, budget if is_inside else ""), nl=False)
