"""`trt-nemotron baseline`: keep runs that later ones are compared with."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from trt_nemotron.cli.console import console, dry_run_option, json_option, print_json
from trt_nemotron.cli.paths import FILE, FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable

    from trt_nemotron.measure.baselines.ledger import Ledger
    from trt_nemotron.measure.baselines.storage import Storage
    from trt_nemotron.measure.baselines.values import Baseline


_store_option = click.option(
    "--store",
    "location",
    default="ci/baselines",
    show_default=True,
    metavar="FOLDER|git:BRANCH|s3://BUCKET/PREFIX",
    help="Where baselines are kept.",
)
_reason_option = click.option(
    "--reason", required=True, help="Why, in a sentence; kept in the history."
)


@click.group(short_help="Keep runs that later ones are compared with.")
def command() -> None:
    """Record valid runs, make one the current baseline of its key, and take it out of use again.

    The key is everything that must agree before figures may be compared: the whole environment, the
    work, the clock and the way of asking. Nothing is overwritten; docs/gating.md says more.

    \b
    trt-nemotron baseline record out/measurement.json.gz
    trt-nemotron baseline promote spark-trtllm-0a1b2c --reason "first run on the new board"
    trt-nemotron gate new.json.gz --budget my.yaml --baseline-store ci/baselines
    """


@command.command("record", short_help="Keep a valid run.")
@click.argument("measurement", type=FILE)
@_store_option
@click.option("--reason", default="", help="Why; kept in the history.")
@json_option
@dry_run_option
def record_command(
    *, measurement: Path, location: str, reason: str, as_json: bool, dry_run: bool
) -> None:
    """Keep MEASUREMENT, if it is valid and everything about it is known."""
    from trt_nemotron.measure.baselines.ledger import describe, record
    from trt_nemotron.measure.baselines.storage import open_storage
    from trt_nemotron.measure.bench.replay import read_measurement

    run = read_measurement(measurement)
    storage = open_storage(location)
    baseline = describe(run) if dry_run else record(storage, run, reason=reason)
    if as_json:
        print_json(baseline)
    else:
        click.echo(f"{'would record' if dry_run else 'recorded'} {baseline.id}", err=True)


@command.command("list", short_help="List baselines, oldest first.")
@_store_option
@click.option("--all", "with_all", is_flag=True, help="Those out of use as well.")
@json_option
def list_command(*, location: str, with_all: bool, as_json: bool) -> None:
    """Every baseline that is recorded or current, with its figures."""
    from trt_nemotron.measure.baselines.ledger import read_ledger
    from trt_nemotron.measure.baselines.storage import open_storage

    ledger = read_ledger(open_storage(location))
    shown = [
        kept
        for kept in ledger.baselines
        if with_all or ledger.status(kept) in {"recorded", "current"}
    ]
    if as_json:
        print_json([{"status": ledger.status(kept), "baseline": kept} for kept in shown])
    else:
        _show_table(ledger, shown, location)


@command.command("show", short_help="Show a baseline and its history.")
@click.argument("name")
@_store_option
@json_option
def show_command(*, name: str, location: str, as_json: bool) -> None:
    """The baseline NAME (its id, or how it begins): key, figures, and what was done to it."""
    from trt_nemotron.measure.baselines.ledger import read_ledger
    from trt_nemotron.measure.baselines.storage import open_storage

    ledger = read_ledger(open_storage(location))
    baseline = ledger.named(name)
    events = [event for event in ledger.events if event.baseline == baseline.id]
    if as_json:
        status = ledger.status(baseline)
        print_json({"status": status, "baseline": baseline, "events": events})
        return
    screen = console()
    screen.print(f"{baseline.id}: {ledger.status(baseline)}", markup=False, style="bold")
    for field, value in (*baseline.key.items(), *baseline.figures.items()):
        screen.print(f"  {field}: {value}", markup=False)
    for event in events:
        screen.print(f"  {event.at} {event.action} {event.reason}".rstrip(), markup=False)


@command.command("promote", short_help="Make a baseline the current one of its key.")
@click.argument("name")
@_store_option
@_reason_option
@json_option
@dry_run_option
def promote_command(*, name: str, location: str, reason: str, as_json: bool, dry_run: bool) -> None:
    """Compare with NAME from now on; the one before it stays in the history."""
    from trt_nemotron.measure.baselines.ledger import promote

    _act(lambda storage: promote(storage, name, reason=reason), name, location, as_json, dry_run)


@command.command("expire", short_help="Take a baseline out of use.")
@click.argument("name")
@_store_option
@_reason_option
@json_option
@dry_run_option
def expire_command(*, name: str, location: str, reason: str, as_json: bool, dry_run: bool) -> None:
    """Compare with NAME no more; it stays in the history."""
    from trt_nemotron.measure.baselines.ledger import expire

    _act(lambda storage: expire(storage, name, reason=reason), name, location, as_json, dry_run)


@command.command("check-changelog", short_help="Is every change accounted for?")
@click.option("--changelog", type=FILE, default=Path("ci/perf-changelog.yaml"), show_default=True)
@click.option("--budgets", type=FOLDER, default=Path("ci/budgets"), show_default=True)
@click.option("--store", "location", default="", help="Baselines to check as well.")
@json_option
def check_changelog_command(*, changelog: Path, budgets: Path, location: str, as_json: bool) -> int:
    """Exit with 1 when a budget or a baseline changed and the changelog does not say why."""
    from trt_nemotron.document import read_document
    from trt_nemotron.measure.baselines.changelog import (
        PerfChangelog,
        budget_hashes,
        unsaid_changes,
    )
    from trt_nemotron.measure.baselines.ledger import read_ledger
    from trt_nemotron.measure.baselines.storage import open_storage

    said = read_document(changelog, PerfChangelog)
    ledger = read_ledger(open_storage(location)) if location else None
    unsaid = list(unsaid_changes(said, budget_hashes(budgets), ledger))
    if as_json:
        print_json({"unsaid": unsaid})
    else:
        for line in unsaid or [f"{changelog} accounts for every budget and baseline"]:
            console().print(line, markup=False, soft_wrap=True)
    return 1 if unsaid else 0


def _act(
    action: "Callable[[Storage], Baseline]",
    name: str,
    location: str,
    as_json: bool,
    dry_run: bool,
) -> None:
    from trt_nemotron.measure.baselines.ledger import read_ledger
    from trt_nemotron.measure.baselines.storage import open_storage

    storage = open_storage(location)
    baseline = read_ledger(storage).named(name) if dry_run else action(storage)
    status = read_ledger(storage).status(baseline)
    if as_json:
        print_json({"status": status, "baseline": baseline})
    else:
        click.echo(f"{baseline.id} {'is still' if dry_run else 'is now'} {status}", err=True)


def _show_table(ledger: "Ledger", shown: "list[Baseline]", location: str) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("id", no_wrap=True)
    for title in ("status", "started", "figures (ms)"):
        table.add_column(title, overflow="fold")
    for kept in shown:
        figures = ", ".join(f"{name} {value:.4g}" for name, value in kept.figures.items())
        cells = (kept.id, ledger.status(kept), kept.started_at, figures)
        table.add_row(*(Text(cell) for cell in cells))
    console().print(table if shown else f"no baselines in {location}", markup=False)
