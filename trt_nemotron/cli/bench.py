"""`trt-nemotron bench`: measure the latency of an endpoint, truthfully."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from trt_nemotron.cli.console import (
    console,
    drawn_progress,
    dry_run_option,
    json_option,
    print_json,
)
from trt_nemotron.cli.endpoint_options import (
    Subject,
    endpoint_options,
    find_subject,
    read_api_key,
)
from trt_nemotron.errors import InvalidInput, NoValidMeasurement

if TYPE_CHECKING:
    from trt_nemotron.measure.bench.clock_choice import ClockWish
    from trt_nemotron.measure.bench.figures.summary import Slo, Summary
    from trt_nemotron.measure.bench.values import Environment, Measurement, Workload
    from trt_nemotron.openai.dialect import Dialect

_SLO_NAMES = ("ttft_ms", "tpot_ms", "e2e_ms")


@click.command(short_help="Measure latency, truthfully.")
@endpoint_options
@click.option(
    "--profile",
    type=click.Choice(["quick", "standard", "stress", "sweep"]),
    default="quick",
    show_default=True,
    help="The workload to start from; the options below change it.",
)
@click.option("--concurrency", metavar="N,N,...", help="Streams at a time; one run for each.")
@click.option("--requests", type=int, help="Measured requests for each concurrency.")
@click.option("--input-tokens", type=int, help="Length of a prompt.")
@click.option("--output-tokens", type=int, help="Length of an answer, which is verified.")
@click.option("--warmup", type=int, help="Requests before each concurrency that do not count.")
@click.option("--seed", type=int, help="Of the prompts.")
@click.option("--thinking/--no-thinking", default=None, help="Let the model reason first.")
@click.option("--timeout", type=float, help="Seconds that one request may take.")
@click.option("--total-timeout", type=float, help="Seconds that the whole run may take.")
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
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep the measurement in this file; .json.gz compresses it.",
)
@click.option(
    "--replay",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Compute the figures of a kept measurement again; asks no server.",
)
@json_option
@dry_run_option
def command(  # noqa: PLR0917 - click passes them all by name
    endpoint: str | None,
    url: str | None,
    model: str,
    profile: str,
    concurrency: str | None,
    requests: int | None,
    input_tokens: int | None,
    output_tokens: int | None,
    warmup: int | None,
    seed: int | None,
    thinking: bool | None,
    timeout: float | None,
    total_timeout: float | None,
    clock_wish: "ClockWish",
    slo: str | None,
    dialect: str,
    api_key_env: str | None,
    out: Path | None,
    replay: Path | None,
    as_json: bool,
    dry_run: bool,
) -> int:
    """Measure TTFT, TPOT, ITL, E2E and throughput of a streaming endpoint.

    ENDPOINT is the name of a server that `trt-nemotron serve` started. Every term is defined in
    docs/measuring.md. Ctrl-C ends a run at once and keeps nothing of it.

    \b
    trt-nemotron bench --url http://127.0.0.1:8000
    trt-nemotron bench --url http://127.0.0.1:8000 --concurrency 1,8 --requests 460 --out m.json.gz
    trt-nemotron bench --replay m.json.gz --slo ttft_ms=500,tpot_ms=30
    """
    from trt_nemotron.measure.bench.wire.address import resolve_address
    from trt_nemotron.measure.bench.workload import change_workload, find_profile

    limits = parse_slo(slo)
    if replay is not None:
        _refuse_with_replay(endpoint, url, out)
        return _replay(replay, limits, as_json)
    workload = change_workload(
        find_profile(profile),
        concurrencies=parse_concurrencies(concurrency),
        requests_per_concurrency=requests,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        warmup_requests=warmup,
        seed=seed,
        is_thinking_enabled=thinking,
        timeout_s=timeout,
        total_timeout_s=total_timeout,
    )
    subject = find_subject(endpoint, url, model)
    resolve_address(subject.url)  # a URL that cannot be measured is refused in a dry run as well
    if dry_run:
        _show_plan(subject, workload, as_json)
        return 0
    measurement = _measure(
        subject,
        workload,
        profile=profile,
        dialect_name=dialect,
        api_key=read_api_key(api_key_env),
        clock_wish=clock_wish,
        as_json=as_json,
    )
    return _conclude(measurement, limits, out, as_json)


def parse_concurrencies(text: str | None) -> tuple[int, ...] | None:
    """`1,4,8` as numbers; nothing for nothing.

    Raises:
        InvalidInput: a part that is no whole number.
    """
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise InvalidInput(
            "--concurrency takes whole numbers", evidence=text, next_step="For example: 1,4,8"
        )
    return tuple(int(part) for part in parts)


def parse_slo(text: str | None) -> "Slo | None":
    """`ttft_ms=500,tpot_ms=30` as limits; nothing for nothing.

    Raises:
        InvalidInput: an unknown name, or a limit that is no positive number.
    """
    if text is None:
        return None
    from trt_nemotron.measure.bench.figures.summary import Slo

    limits: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = part.strip().partition("=")
        try:
            limit = float(number)
        except ValueError:
            limit = 0.0
        if name not in _SLO_NAMES or not 0.0 < limit < float("inf"):
            raise InvalidInput(
                "--slo takes NAME=MS pairs",
                evidence=part.strip(),
                next_step=f"Names: {', '.join(_SLO_NAMES)}. For example: ttft_ms=500,tpot_ms=30",
            )
        limits[name] = limit
    return Slo(**limits)


def _refuse_with_replay(endpoint: str | None, url: str | None, out: Path | None) -> None:
    if endpoint or url or out:
        raise InvalidInput(
            "--replay reads a file: it goes with no ENDPOINT, --url or --out",
            next_step="Leave them out, or leave out --replay to measure.",
        )


def _environment_of(subject: Subject, model: str) -> "Environment":
    """The fingerprint, as far as it is known of the server."""
    from trt_nemotron.measure.bench.environment import UNKNOWN, describe_environment
    from trt_nemotron.pipeline.handover import bundle_environment

    if subject.manifest is not None:
        return bundle_environment(subject.manifest)
    return describe_environment(model=model or UNKNOWN)


def _show_plan(subject: Subject, workload: "Workload", as_json: bool) -> None:
    from trt_nemotron.document import to_tree

    if as_json:
        print_json({"url": subject.url, "workload": to_tree(workload)})
        return
    loops = ", ".join(
        f"{max(workload.warmup_requests, streams)} + {workload.requests_per_concurrency} requests "
        f"over {streams} streams"
        for streams in workload.concurrencies
    )
    click.echo(
        f"would measure {subject.url}: {loops}; {workload.input_tokens} tokens in, "
        f"{workload.output_tokens} out each",
        err=True,
    )


def _measure(
    subject: Subject,
    workload: "Workload",
    *,
    profile: str,
    dialect_name: str,
    api_key: str,
    clock_wish: "ClockWish",
    as_json: bool,
) -> "Measurement":
    from trt_nemotron.measure.bench.discovery import discover_model
    from trt_nemotron.measure.bench.runner import run_bench

    with drawn_progress(is_quiet=as_json) as progress:
        progress.phase("asking the server who it is")
        dialect = _choose_dialect(dialect_name, subject.url, api_key)
        model = subject.model or discover_model(subject.url, api_key=api_key)
        environment = _environment_of(subject, model)
        return run_bench(
            subject.url,
            model,
            workload,
            dialect,
            environment,
            progress=progress,
            api_key=api_key,
            profile=profile,
            clock_wish=clock_wish,
        )


def _choose_dialect(name: str, url: str, api_key: str) -> "Dialect":
    from trt_nemotron.measure.bench.discovery import discover_dialect
    from trt_nemotron.openai.dialect import find_dialect

    return discover_dialect(url, api_key=api_key) if name == "auto" else find_dialect(name)


def _replay(path: Path, slo: "Slo | None", as_json: bool) -> int:
    from trt_nemotron.measure.bench.replay import read_measurement

    return _show(read_measurement(path), slo, as_json)


def _conclude(
    measurement: "Measurement", slo: "Slo | None", out: Path | None, as_json: bool
) -> int:
    from trt_nemotron.measure.bench.replay import write_measurement

    if out is not None:
        size = write_measurement(out, measurement)
        click.echo(f"kept in {out} ({size:,} bytes)", err=True)
    return _show(measurement, slo, as_json)


def _show(measurement: "Measurement", slo: "Slo | None", as_json: bool) -> int:
    """Show the figures; a run that may not be judged ends in the exit code that says so."""
    from trt_nemotron.measure.bench.figures.summarise import summarise

    summary = summarise(measurement, slo)
    if as_json:
        print_json(_as_tree(measurement, summary))
    else:
        from trt_nemotron.cli.bench_table import render_bench

        console().print(render_bench(measurement, summary))
    return NoValidMeasurement.exit_code if summary.invalid_reasons else 0


def _as_tree(measurement: "Measurement", summary: "Summary") -> dict[str, object]:
    """The figures with what they were taken under; the raw records are in the kept file."""
    return {
        "url": measurement.url,
        "started_at": measurement.started_at,
        "environment": measurement.environment,
        "workload": measurement.workload,
        "client": measurement.client,
        "summary": summary,
    }
