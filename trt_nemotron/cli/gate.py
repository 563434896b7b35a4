"""`trt-nemotron gate`: judge a measurement, compare two bundles in turn, or try the gate itself."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trt_nemotron.cli.console import drawn_progress, dry_run_option, json_option
from trt_nemotron.cli.gate_options import ab_options, check_mode
from trt_nemotron.cli.gate_outputs import Outputs, conclude
from trt_nemotron.cli.paths import FILE, FOLDER, keep_inputs
from trt_nemotron.cli.place_options import place_options

if TYPE_CHECKING:
    from trt_nemotron.cli.gate_ab import AbWish
    from trt_nemotron.deploy.serving.placing import PlaceWish
    from trt_nemotron.measure.baselines.finding import Kept
    from trt_nemotron.measure.bench.values import Measurement
    from trt_nemotron.measure.gate.values import StartFigures


@click.command(short_help="Judge a measurement against a budget.")
@click.argument("measurement", type=FILE, required=False)
@click.option("--budget", metavar="FILE|TARGET", help="A budget, or a target that has one.")
@click.option("--smoke", type=FILE, help="Smoke report to judge with it.")
@click.option("--baseline", type=FILE, help="Earlier measurement for the relative bounds.")
@click.option(
    "--baseline-store",
    metavar="FOLDER|git:BRANCH|s3://...",
    help="Take the current baseline from there, see `trt-nemotron baseline`.",
)
@click.option(
    "--bundle",
    type=FOLDER,
    help="The bundle that was served: what its last start showed is judged by.",
)
@ab_options
@place_options
@click.option("--self-test", is_flag=True, help="Inject known regressions; see which are caught.")
@click.option(
    "--out",
    type=FOLDER,
    help="Write verdict.json, verdict.md and verdict.junit.xml into this folder; of A/B every "
    "run, too.",
)
@click.option("--junit", type=FILE, help="Write the verdict as JUnit XML.")
@click.option("--markdown", type=FILE, help="Write the verdict as Markdown.")
@click.option("--openmetrics", type=FILE, help="Write the verdict as OpenMetrics text.")
@click.option("--github", is_flag=True, help="Print GitHub annotations on standard output.")
@json_option
@dry_run_option
def command(
    *,
    measurement: Path | None,
    budget: str | None,
    wanted_ab: "AbWish | None",
    wanted_place: "PlaceWish",
    self_test: bool,
    as_json: bool,
    dry_run: bool,
    **given: Any,
) -> int:
    """Judge MEASUREMENT, a file that `bench` wrote, against a budget; or two bundles in turn.

    Exits with 0 when every bound is kept, 1 when one is missed, 4 when the run may not be judged,
    5 without a baseline to compare with, 6 when the samples do not decide or a stored baseline is
    too coarse to tell.

    \b
    trt-nemotron gate out/measurement.json.gz --budget cpu --smoke out/smoke.json
    trt-nemotron gate new.json --budget my.yaml --baseline-store git:baselines
    trt-nemotron gate --ab bundles/main bundles/change
    trt-nemotron gate --self-test
    """
    check_mode(measurement, budget, wanted_ab, is_self_test=self_test)
    outputs = Outputs(
        out=given["out"],
        junit=given["junit"],
        markdown=given["markdown"],
        openmetrics=given["openmetrics"],
        is_github=given["github"],
        is_json=as_json,
    )
    if outputs.is_github and as_json:
        raise click.UsageError("--github and --json both print on standard output")
    if self_test:
        from trt_nemotron.cli.gate_self_test import run_self_test

        return run_self_test(as_json=as_json, is_dry=dry_run)
    if wanted_ab is not None:
        from trt_nemotron.cli.gate_ab import run_wish

        return run_wish(wanted_ab, budget, wanted_place, outputs, is_dry=dry_run)
    if measurement is None or budget is None:  # check_mode has refused it
        return click.UsageError.exit_code
    return _judge(measurement, budget, given, outputs, is_dry=dry_run)


def _judge(
    path: Path, budget: str, given: dict[str, Any], outputs: Outputs, *, is_dry: bool
) -> int:
    from trt_nemotron.document import read_document
    from trt_nemotron.measure.bench.replay import read_measurement
    from trt_nemotron.measure.gate.budget import find_budget
    from trt_nemotron.measure.gate.judge import judge
    from trt_nemotron.measure.report.contents import notice_for
    from trt_nemotron.measure.smoke.values import SmokeReport

    smoke: Path | None = given["smoke"]
    keep_inputs(outputs.files(), [path, smoke, given["baseline"], Path(budget)])
    run = read_measurement(path)
    if given["baseline"] is not None and given["baseline_store"] is not None:
        raise click.UsageError("--baseline and --baseline-store exclude each other")
    kept = _find_kept(run, given["baseline"], given["baseline_store"])
    bounds = find_budget(budget)
    verdict = judge(
        bounds,
        run,
        smoke=None if smoke is None else read_document(smoke, SmokeReport),
        baseline=kept.baseline,
        why_no_baseline=kept.why_none,
        history=kept.history,
        start=_find_start(given["bundle"]),
    )
    return conclude(verdict, notice_for(run.environment), outputs, budget=budget, is_dry=is_dry)


def _find_kept(run: "Measurement", path: Path | None, location: str | None) -> "Kept":
    from trt_nemotron.measure.baselines.finding import Kept, find_kept
    from trt_nemotron.measure.bench.replay import read_measurement

    if location is not None:
        from trt_nemotron.measure.baselines.storage import open_storage

        return find_kept(open_storage(location), run)
    return Kept(baseline=None if path is None else read_measurement(path))


def _find_start(bundle: Path | None) -> "StartFigures | None":
    """What the last start of a bundle showed; nothing where none did."""
    if bundle is None:
        return None
    from trt_nemotron.deploy.bundle.reader import read_bundle
    from trt_nemotron.deploy.observed import read_observed
    from trt_nemotron.pipeline.handover import start_figures

    read_bundle(bundle)  # a folder that is none would have nothing observed, without a word
    with drawn_progress(is_quiet=False) as progress:  # to people, also beside JSON
        observed = read_observed(bundle, progress)
    return None if observed is None else start_figures(observed)
