"""`trt-nemotron export`: a measurement in the formats of others."""

from pathlib import Path

import click

from trt_nemotron.cli.console import console, dry_run_option, json_option, print_json
from trt_nemotron.cli.paths import FILE, keep_inputs


@click.command(short_help="Write a measurement in the formats of other tools.")
@click.argument("measurement", type=FILE)
@click.option(
    "--format",
    "name",
    required=True,
    type=click.Choice(["csv", "parquet", "vllm", "aiperf", "aiperf-records"]),
    help="The format; docs/exporting.md says what each means.",
)
@click.option("--out", required=True, type=FILE, help="The file to write.")
@click.option(
    "--per",
    type=click.Choice(["request", "chunk"]),
    default="request",
    show_default=True,
    help="What a row is, of csv and parquet.",
)
@click.option("--leg", default="", metavar="TITLE", help="The leg, as in 'concurrency 8'.")
@click.option(
    "--save-detailed", "is_detailed", is_flag=True, help="With every request's lists; for vllm."
)
@click.option(
    "--all-percentiles",
    "is_complete",
    is_flag=True,
    help="With percentiles from too few samples, as other tools have them.",
)
@json_option
@dry_run_option
def command(  # noqa: PLR0917 - click passes them all by name
    measurement: Path,
    name: str,
    out: Path,
    per: str,
    leg: str,
    is_detailed: bool,
    is_complete: bool,
    as_json: bool,
    dry_run: bool,
) -> None:
    """Write MEASUREMENT, a file that `bench` wrote, for tables and for other tools' dashboards.

    \b
    trt-nemotron export m.json.gz --format csv --out requests.csv
    trt-nemotron export m.json.gz --format parquet --per chunk --out chunks.parquet
    trt-nemotron export m.json.gz --format vllm --leg 'concurrency 8' --out vllm.json
    """
    from trt_nemotron.document import write_atomically
    from trt_nemotron.measure.bench.replay import read_measurement
    from trt_nemotron.measure.exports.catalogue import Wish, render_export

    wish = Wish(leg, per == "chunk", is_detailed, is_complete)
    run = read_measurement(measurement)
    keep_inputs({"--out": out}, [measurement])
    export = render_export(run, name, wish)
    if not dry_run:
        write_atomically(out, export.data)
    for note in export.notes:
        click.echo(f"note: {note}", err=True)
    if as_json:
        size = {"bytes": len(export.data)}
        print_json({"file": str(out.resolve()), "format": name, "is_written": not dry_run} | size)
    else:
        done = f"would write {out}" if dry_run else f"Written: {out}"
        console().print(f"{done} ({len(export.data):,} bytes)", markup=False, soft_wrap=True)
