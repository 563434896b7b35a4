"""`trt-nemotron compare`: several measurements side by side."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trt_nemotron.cli.console import console, dry_run_option, json_option, print_json
from trt_nemotron.cli.paths import FILE, keep_inputs
from trt_nemotron.errors import InvalidInput

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from trt_nemotron.measure.bench.values import Measurement
    from trt_nemotron.measure.compare import ComparedFigure, ComparedLeg, Comparison

_WORDS = {
    "first": "",
    "within_noise": "within noise",
    "beyond_noise": "beyond noise",
    "no_limits": "no limits",
    "missing": "",
}


@click.command(short_help="Show several measurements side by side.")
@click.argument("measurements", type=FILE, nargs=-1, required=True, metavar="A B [C ...]")
@click.option("--slo", metavar="NAME=MS,...", help="Limits that good requests keep, for goodput.")
@click.option("--html", "page", type=FILE, help="Draw them as one page that needs nothing else.")
@json_option
@dry_run_option
def command(
    measurements: tuple[Path, ...], slo: str | None, page: Path | None, as_json: bool, dry_run: bool
) -> None:
    """Show measurements, files that `bench` wrote, side by side: each against the first.

    Decides nothing: whether a change made a difference, `gate --ab` finds out. Exits with 0 also
    when the runs differ in something that their figures depend on, which is said first.

    \b
    trt-nemotron compare before.json.gz after.json.gz
    trt-nemotron compare a.json.gz b.json.gz c.json.gz --html compared.html
    """
    from trt_nemotron.cli.bench_options import parse_slo
    from trt_nemotron.measure.bench.replay import read_measurement
    from trt_nemotron.measure.compare import compare

    _refuse_twice(measurements)
    keep_inputs({"--html": page}, measurements)
    named = [
        (name, read_measurement(path))
        for name, path in zip(short_names(measurements), measurements, strict=True)
    ]
    comparison = compare(named, parse_slo(slo))
    if page is not None:
        _draw(comparison, named, page, is_written=not dry_run)
    if as_json:
        print_json(comparison)
    else:
        console().print(comparison_view(comparison))


def _refuse_twice(paths: Sequence[Path]) -> None:
    """A run beside itself shows nothing, and looks like two runs that agree."""
    for place, path in enumerate(paths):
        twins = [p for p in paths[:place] if path.exists() and p.exists() and path.samefile(p)]
        if twins:
            raise InvalidInput(
                f"{path} is given twice",
                evidence="" if path == twins[0] else f"{twins[0]} is the same file",
                next_step="Name each measurement once.",
            )


def short_names(paths: Sequence[Path]) -> list[str]:
    """What tells the files apart: their names, or as much of the path before as is needed."""
    for depth in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def comparison_view(comparison: "Comparison") -> "RenderableType":
    """What differs first, then a table for each leg, then what the reader must know."""
    from rich.console import Group
    from rich.text import Text

    tables = [_table(comparison, leg) for leg in comparison.legs]
    return Group(*_warnings(comparison), *tables, Text(f"note: {comparison.caveat}"))


def _warnings(comparison: "Comparison") -> "Iterator[RenderableType]":
    from rich.text import Text

    first = comparison.runs[0].name
    for run in comparison.runs:
        if run.differences:
            text = f"not comparable: {run.name} has {'; '.join(run.differences)} of {first}"
            yield Text(text, style="bold red")
        for reason in run.invalid_reasons:
            yield Text(f"not valid: {run.name}: {reason}", style="bold red")
    for leg in comparison.legs:
        if leg.missing:
            missing = ", ".join(leg.missing)
            yield Text(f"{leg.title} was not measured in {missing}", style="yellow")


def _table(comparison: "Comparison", leg: "ComparedLeg") -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(
        title=leg.title,
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        title_justify="left",
        title_style="bold",
    )
    table.add_column("", no_wrap=True)
    for run in comparison.runs:
        table.add_column(run.name, justify="right", overflow="fold")
    for metric in leg.metrics:
        table.add_row(metric.metric, *map(_cell, metric.figures))
    return table


def _cell(figure: "ComparedFigure") -> str:
    from rich.markup import escape

    from trt_nemotron.measure.report import words

    if figure.value is None:
        return words.NOTHING
    limits = words.interval(figure.low, figure.high)
    lines = [words.number(figure.value), *([limits] if limits else [])]
    if figure.ratio is not None:
        lines.append(f"{words.change(figure.ratio)} {_WORDS[figure.explained]}".rstrip())
    return escape("\n".join(lines))


def _draw(
    comparison: "Comparison",
    named: "Sequence[tuple[str, Measurement]]",
    page: Path,
    *,
    is_written: bool,
) -> None:
    from trt_nemotron import __version__
    from trt_nemotron.document import write_atomically
    from trt_nemotron.measure.report.comparison import render_comparison

    drawn = render_comparison(comparison, named, __version__).encode()
    if is_written:
        write_atomically(page, drawn)
    click.echo(f"Page: {page}" if is_written else f"would write {page}", err=True)
