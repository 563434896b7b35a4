"""`trt-nemotron gate`: judge a measurement against a budget."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from trt_nemotron.cli.console import console, dry_run_option, json_option, print_json

if TYPE_CHECKING:
    from trt_nemotron.measure.baselines.finding import Kept
    from trt_nemotron.measure.bench.values import Measurement
    from trt_nemotron.measure.gate.values import Verdict

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(short_help="Judge a measurement against a budget.")
@click.argument("measurement", type=_FILE)
@click.option(
    "--budget", required=True, metavar="FILE|TARGET", help="A budget, or a target that has one."
)
@click.option("--smoke", type=_FILE, help="Smoke report to judge with it.")
@click.option("--baseline", type=_FILE, help="Earlier measurement for the relative bounds.")
@click.option(
    "--baseline-store",
    metavar="FOLDER|git:BRANCH|s3://...",
    help="Take the current baseline from there, see `trt-nemotron baseline`.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write verdict.json, verdict.md and verdict.junit.xml into this folder.",
)
@click.option("--junit", type=_FILE, help="Write the verdict as JUnit XML.")
@click.option("--markdown", type=_FILE, help="Write the verdict as Markdown.")
@click.option("--openmetrics", type=_FILE, help="Write the verdict as OpenMetrics text.")
@click.option("--github", is_flag=True, help="Print GitHub annotations on standard output.")
@json_option
@dry_run_option
def command(  # noqa: PLR0917 - click passes them all by name
    measurement: Path,
    budget: str,
    smoke: Path | None,
    baseline: Path | None,
    baseline_store: str | None,
    out: Path | None,
    junit: Path | None,
    markdown: Path | None,
    openmetrics: Path | None,
    github: bool,
    as_json: bool,
    dry_run: bool,
) -> int:
    """Judge MEASUREMENT, a file that `bench` wrote, against a budget.

    Exits with 0 when every bound is kept, 1 when one is missed, 4 when the run may not be judged,
    5 without a baseline to compare with, 6 when the samples do not decide.

    \b
    trt-nemotron gate out/measurement.json.gz --budget cpu --smoke out/smoke.json
    trt-nemotron gate new.json --budget my.yaml --baseline old.json --markdown comment.md
    trt-nemotron gate new.json --budget my.yaml --baseline-store git:baselines
    """
    from trt_nemotron.document import read_document
    from trt_nemotron.measure.bench.replay import read_measurement
    from trt_nemotron.measure.gate.budget import find_budget
    from trt_nemotron.measure.gate.judge import judge
    from trt_nemotron.measure.gate.outcome import exit_code
    from trt_nemotron.measure.report.contents import notice_for
    from trt_nemotron.measure.smoke.values import SmokeReport

    if github and as_json:
        raise click.UsageError("--github and --json both print on standard output")
    run = read_measurement(measurement)
    if baseline is not None and baseline_store is not None:
        raise click.UsageError("--baseline and --baseline-store exclude each other")
    kept = _find_kept(run, baseline, baseline_store)
    verdict = judge(
        find_budget(budget),
        run,
        smoke=None if smoke is None else read_document(smoke, SmokeReport),
        baseline=kept.baseline,
        why_no_baseline=kept.why_none,
        history=kept.history,
    )
    notice = notice_for(run.environment)
    if not dry_run:
        _write(verdict, notice, out, junit, markdown)
        _write_openmetrics(verdict, openmetrics)
    if github:
        _print_annotations(verdict, budget)
    if as_json:
        print_json(verdict)
    else:
        from trt_nemotron.measure.report.terminal import verdict_view

        console().print(verdict_view(verdict, notice))
    return exit_code(verdict.decision)


def _find_kept(run: "Measurement", path: Path | None, location: str | None) -> "Kept":
    from trt_nemotron.measure.baselines.finding import Kept, find_kept
    from trt_nemotron.measure.bench.replay import read_measurement

    if location is not None:
        from trt_nemotron.measure.baselines.storage import open_storage

        return find_kept(open_storage(location), run)
    return Kept(baseline=None if path is None else read_measurement(path))


def _write(
    verdict: "Verdict", notice: str, out: Path | None, junit: Path | None, markdown: Path | None
) -> None:
    from trt_nemotron.document import write_atomically, write_document
    from trt_nemotron.measure.report.junit import render_junit
    from trt_nemotron.measure.report.markdown import render_markdown

    if out is not None:
        write_document(out / "verdict.json", verdict)
    for path in (junit, out and out / "verdict.junit.xml"):
        if path is not None:
            write_atomically(path, render_junit(verdict))
    for path in (markdown, out and out / "verdict.md"):
        if path is not None:
            write_atomically(path, render_markdown(verdict, notice).encode())


def _write_openmetrics(verdict: "Verdict", path: Path | None) -> None:
    from trt_nemotron.document import write_atomically
    from trt_nemotron.measure.report.openmetrics import render_openmetrics

    if path is not None:
        write_atomically(path, render_openmetrics(verdict).encode())


def _print_annotations(verdict: "Verdict", budget: str) -> None:
    """Pinned to the budget where it is a file of the repository that the job stands in."""
    from trt_nemotron.measure.report.annotations import render_annotations

    is_inside = Path(budget).is_file() and not Path(budget).is_absolute()
    click.echo(render_annotations(verdict, budget if is_inside else ""), nl=False)
