"""`trt-nemotron bench`: measure the latency of an endpoint, truthfully."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from trt_nemotron.cli.bench_keep import keep_measurement
from trt_nemotron.cli.bench_options import (
    Wish,
    describe_workload,
    parse_slo,
    read_wish,
    workload_options,
)
from trt_nemotron.cli.bench_run import measure
from trt_nemotron.cli.console import console, dry_run_option, json_option, print_json
from trt_nemotron.cli.endpoint_options import (
    Subject,
    endpoint_options,
    find_subject,
    read_api_key,
)
from trt_nemotron.cli.paths import FILE, check_writable
from trt_nemotron.errors import InvalidInput, NoValidMeasurement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trt_nemotron.deploy.plan import Plan
    from trt_nemotron.measure.bench.clock_choice import ClockWish
    from trt_nemotron.measure.bench.figures.roofline import Ceiling
    from trt_nemotron.measure.bench.figures.summary import Slo, Summary
    from trt_nemotron.measure.bench.search import Ramp
    from trt_nemotron.measure.bench.values import Measurement
    from trt_nemotron.measure.bench.workers.senders import Senders


_WITH_REPLAY = frozenset({"replay", "slo", "as_json", "dry_run"})


@click.command(short_help="Measure latency, truthfully.")
@endpoint_options
@workload_options
@click.option(
    "--clock",
    "clock_wish",
    type=click.Choice(["auto", "packet", "kernel", "user"]),
    default="auto",
    show_default=True,
    help="Where stamps come from; auto takes the best that is allowed here.",
)
@click.option(
    "--slo", metavar="NAME=MS,...", help="Limits that good requests keep: ttft_ms, tpot_ms, e2e_ms."
)
@click.option(
    "--energy",
    is_flag=True,
    help="Measure joules per output token; the server must run on this machine.",
)
@click.option(
    "--out",
    type=FILE,
    help="Keep the measurement in this file; .json.gz compresses it.",
)
@click.option(
    "--replay",
    type=FILE,
    help="Compute the figures of a kept measurement again; asks no server.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Processes that send the load together; with --ray, on each machine.",
)
@click.option(
    "--ray",
    metavar="ADDRESS",
    help="Send from the machines of this Ray cluster: auto, or HOST:PORT.",
)
@click.option("--hosts", metavar="HOST,HOST,...", help="Of the Ray cluster's machines only these.")
@json_option
@dry_run_option
def command(  # noqa: PLR0917 - click passes them all by name
    endpoint: str | None,
    url: str | None,
    model: str,
    clock_wish: "ClockWish",
    slo: str | None,
    dialect: str,
    api_key_env: str | None,
    energy: bool,
    out: Path | None,
    replay: Path | None,
    workers: int,
    ray: str | None,
    hosts: str | None,
    as_json: bool,
    dry_run: bool,
    **given: Any,
) -> int:
    """Measure TTFT, TPOT, ITL, E2E and throughput of a streaming endpoint.

    ENDPOINT is the name of a server that `trt-nemotron serve` started. Every term is defined in
    docs/measuring.md. Ctrl-C ends a run at once and keeps nothing of it.

    \b
    trt-nemotron bench --url http://127.0.0.1:8000
    trt-nemotron bench --url http://127.0.0.1:8000 --concurrency 1,8 --requests 460 --out m.json.gz
    trt-nemotron bench --url http://127.0.0.1:8000 --rate 1,2,4 --slo ttft_ms=500
    trt-nemotron bench --url http://127.0.0.1:8000 --ramp
    trt-nemotron bench --url http://10.0.0.5:8000 --concurrency 512 --ray auto --workers 2
    trt-nemotron bench --replay m.json.gz --slo ttft_ms=500,tpot_ms=30
    """
    from trt_nemotron.measure.bench.wire.address import resolve_address
    from trt_nemotron.measure.bench.workers.senders import check_senders

    limits = parse_slo(slo)
    if replay is not None:
        _refuse_with_replay()
        return _replay(replay, limits, as_json)
    wish = read_wish(given)
    if wish.is_ramp and wish.workload.arrivals != "closed" and limits is None:
        raise InvalidInput(
            "a ramp over rates looks for the highest one that keeps limits",
            next_step="Give --slo, for example ttft_ms=500,tpot_ms=30.",
        )
    subject = find_subject(endpoint, url, model)
    senders = _read_senders(workers, ray, hosts)
    check_senders(senders, wish.workload, clock_wish)
    resolve_address(subject.url)  # a URL that cannot be measured is refused in a dry run as well
    if dry_run:
        _show_plan(subject, wish, senders, as_json)
        return 0
    if out is not None:
        check_writable(out)
    plan = _plan_of(subject)
    measurement, ramp = measure(
        subject,
        wish,
        limits,
        dialect_name=dialect,
        api_key=read_api_key(api_key_env),
        clock_wish=clock_wish,
        measures_energy=energy,
        senders=senders,
        as_json=as_json,
    )
    if out is not None:
        keep_measurement(measurement, out)
    return _show(measurement, limits, as_json, ramp, _ceilings(plan, measurement))


def _refuse_with_replay() -> None:
    """Only how figures are shown may be said of a file; all else would be passed over."""
    context = click.get_current_context()
    said = [
        parameter.opts[0] if parameter.opts[0].startswith("-") else "ENDPOINT"
        for parameter in context.command.params
        if parameter.name not in _WITH_REPLAY
        and context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
    ]
    if said:
        raise InvalidInput(
            f"--replay reads a file that is measured already: it goes with no {', '.join(said)}",
            next_step="Leave them out, or leave out --replay to measure.",
        )


def _plan_of(subject: Subject) -> "Plan | None":
    """The plan behind a server of ours."""
    if subject.bundle is None:
        return None
    from trt_nemotron.deploy.bundle.reader import read_bundle

    return read_bundle(subject.bundle)[1]


def _ceilings(plan: "Plan | None", measurement: "Measurement") -> "Sequence[Ceiling]":
    """What the plan says that its board allows at best."""
    if plan is None:
        return ()
    from trt_nemotron.pipeline.handover import roofline_ceilings

    return roofline_ceilings(plan, measurement)


def _read_senders(workers: int, ray: str | None, hosts: str | None) -> "Senders":
    from trt_nemotron.measure.bench.workers.senders import Senders

    named = tuple(filter(None, (part.strip() for part in (hosts or "").split(","))))
    return Senders(workers, ray or "", named)


def _show_plan(subject: Subject, wish: Wish, senders: "Senders", as_json: bool) -> None:
    from trt_nemotron.document import to_tree
    from trt_nemotron.measure.bench.workers.senders import describe_senders, senders_tree

    if as_json:
        tree: dict[str, object] = {"url": subject.url, "workload": to_tree(wish.workload)}
        if wish.is_ramp:
            tree["is_ramp"] = True
        print_json({**tree, **senders_tree(senders, wish.workload)})
        return
    what = describe_workload(wish.workload)
    if wish.is_ramp:
        what = f"leg after leg, each chosen by those before it, within: {what}"
    click.echo(f"would measure {subject.url}: {what}", err=True)
    if not senders.are_alone:
        click.echo(f"sent {describe_senders(senders, wish.workload)}", err=True)


def _replay(path: Path, slo: "Slo | None", as_json: bool) -> int:
    from trt_nemotron.measure.bench.replay import read_measurement

    return _show(read_measurement(path), slo, as_json)


def _show(
    measurement: "Measurement",
    slo: "Slo | None",
    as_json: bool,
    ramp: "Ramp | None" = None,
    ceilings: "Sequence[Ceiling]" = (),
) -> int:
    """Show the figures; a run that may not be judged ends in the exit code that says so."""
    from trt_nemotron.measure.bench.figures.summarise import summarise

    summary = summarise(measurement, slo, ceilings)
    if as_json:
        tree = _as_tree(measurement, summary)
        print_json(tree if ramp is None else {**tree, "ramp": ramp})
    else:
        from trt_nemotron.cli.bench_table import render_bench

        console().print(render_bench(measurement, summary))
    is_valid = not (summary.invalid_reasons or summary.failures)
    return 0 if is_valid else NoValidMeasurement.exit_code


def _as_tree(measurement: "Measurement", summary: "Summary") -> dict[str, object]:
    """The figures with what they were taken under; the raw records are in the kept file."""
    return {
        "url": measurement.url,
        "started_at": measurement.started_at,
        "environment": measurement.environment,
        "workload": measurement.workload,
        "client": measurement.client,
        "server_side": measurement.server_side,
        "energy": measurement.energy,
        "summary": summary,
    }
