"""`trt-nemotron report`: draw results as one HTML page."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from trt_nemotron.cli.console import console, dry_run_option, json_option, print_json
from trt_nemotron.cli.paths import FILE, keep_inputs

if TYPE_CHECKING:
    from trt_nemotron.measure.bench.values import Measurement


@click.command(short_help="Draw results as one HTML page.")
@click.argument("measurement", type=FILE)
@click.option("--smoke", type=FILE, help="Smoke report to show.")
@click.option("--verdict", type=FILE, help="Verdict to show.")
@click.option("--plan", type=FILE, help="Plan to show, as `plan` or a bundle holds it.")
@click.option(
    "--baseline-store",
    metavar="FOLDER|git:BRANCH|s3://...",
    help="Draw the comparable runs kept there as a history.",
)
@click.option("--out", type=FILE, help="The page.  [default: beside MEASUREMENT]")
@json_option
@dry_run_option
def command(  # noqa: PLR0917 - click passes them all by name
    measurement: Path,
    smoke: Path | None,
    verdict: Path | None,
    plan: Path | None,
    baseline_store: str | None,
    out: Path | None,
    as_json: bool,
    dry_run: bool,
) -> None:
    """Draw MEASUREMENT, a file that `bench` wrote, as one page that needs nothing else.

    \b
    trt-nemotron report out/measurement.json.gz --smoke out/smoke.json --plan out/bundle/plan.json
    """
    from trt_nemotron import __version__
    from trt_nemotron.deploy.plan import Plan
    from trt_nemotron.document import read_document, write_atomically
    from trt_nemotron.measure.bench.replay import read_measurement
    from trt_nemotron.measure.gate.values import Verdict
    from trt_nemotron.measure.report.contents import ReportContents, notice_for
    from trt_nemotron.measure.report.html import render_report
    from trt_nemotron.measure.smoke.values import SmokeReport
    from trt_nemotron.pipeline.handover import plan_facts

    page = out or measurement.with_name(f"{measurement.name.partition('.')[0] or 'report'}.html")
    keep_inputs({"--out": page}, [measurement, smoke, verdict, plan])
    run = read_measurement(measurement)
    contents = ReportContents(
        tool_version=__version__,
        measurement=run,
        verdict=None if verdict is None else read_document(verdict, Verdict),
        smoke=None if smoke is None else read_document(smoke, SmokeReport),
        plan=None if plan is None else plan_facts(read_document(plan, Plan)),
        notice=notice_for(run.environment),
        history=() if baseline_store is None else _history(run, baseline_store),
    )
    drawn = render_report(contents).encode()
    if not dry_run:
        write_atomically(page, drawn)
    if as_json:
        print_json({"report": str(page.resolve()), "is_written": not dry_run})
    else:
        done = f"would write {page}" if dry_run else f"Report: {page}"
        console().print(done, markup=False, soft_wrap=True)


def _history(run: "Measurement", location: str) -> "tuple[Measurement, ...]":
    from trt_nemotron.measure.baselines.finding import find_kept
    from trt_nemotron.measure.baselines.storage import open_storage

    history = find_kept(open_storage(location), run).history
    if not history:
        click.echo(f"note: no comparable earlier run is kept in {location}", err=True)
    return history
