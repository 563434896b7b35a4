"""`trt-nemotron smoke`: check that an endpoint answers rightly."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trt_nemotron.cli.console import console, json_option, print_json
from trt_nemotron.cli.endpoint_options import endpoint_options, find_subject, read_api_key
from trt_nemotron.cli.paths import FILE
from trt_nemotron.cli.seconds import Seconds
from trt_nemotron.errors import CheckFailed, EndpointUnfit, InvalidInput

if TYPE_CHECKING:
    from rich.console import Console

    from trt_nemotron.measure.smoke.values import SmokeReport, SmokeResult
    from trt_nemotron.openai.client import Client

_SIGNS = {"pass": "[green]✓[/]", "fail": "[red]✗[/]", "skip": "[yellow]–[/]"}  # noqa: RUF001


@click.command(short_help="Check that an endpoint answers rightly.")
@endpoint_options
@click.option("--suite", help="Name of a suite, or a file.  [default: by the model's name]")
@click.option(
    "--only", multiple=True, metavar="CHECK", help="Ask this check only; may be repeated."
)
@click.option(
    "--timeout",
    default=120.0,
    show_default=True,
    type=Seconds(),
    help="Seconds that one request may take.",
)
@click.option("--out", type=FILE, help="Write the report to this file.")
@click.option("--list", "is_list", is_flag=True, help="List the checks and suites, ask nothing.")
@json_option
def command(
    *,
    endpoint: str | None,
    url: str | None,
    model: str,
    suite: str | None,
    only: tuple[str, ...],
    dialect: str,
    timeout: float,
    api_key_env: str | None,
    out: Path | None,
    is_list: bool,
    as_json: bool,
) -> int:
    """Ask an endpoint every named check and show what it found.

    ENDPOINT is the name of a server that `trt-nemotron serve` started.

    \b
    trt-nemotron smoke --list
    trt-nemotron smoke --url http://127.0.0.1:8000 --only completion --only usage
    """
    from trt_nemotron.document import write_document
    from trt_nemotron.measure.smoke.registry import select_checks
    from trt_nemotron.measure.smoke.runner import run_smoke
    from trt_nemotron.measure.smoke.suite import load_suite, suite_name_for

    if is_list:
        return _list_checks(as_json)
    checks = select_checks(only)
    chosen = load_suite(suite) if suite else None
    client = _connect(
        endpoint=endpoint,
        url=url,
        model=model,
        dialect=dialect,
        timeout=timeout,
        api_key_env=api_key_env,
    )
    questions = chosen or load_suite(suite_name_for(client.model))
    screen = console()
    if not as_json:
        screen.print(
            f"smoke of {client.url} ({client.model or 'no model name'}), suite {questions.name}, "
            f"dialect {client.dialect.name}",
            markup=False,
            soft_wrap=True,
        )
    listener = None if as_json else lambda result: _show_result(screen, result)
    report = run_smoke(client, questions, checks, listener=listener)
    if out is not None:
        write_document(out, report)
    if as_json:
        print_json(report)
        return 0 if report.passed else CheckFailed.exit_code
    return _conclude(screen, report)


def _connect(
    *,
    endpoint: str | None,
    url: str | None,
    model: str,
    dialect: str,
    timeout: float,
    api_key_env: str | None,
) -> "Client":
    """A client of the endpoint asked for, which was seen to be one."""
    from trt_nemotron.openai.client import Client
    from trt_nemotron.openai.dialect import OPENAI, find_dialect
    from trt_nemotron.openai.transport import Timeouts

    subject = find_subject(endpoint, url, model)
    client = Client(
        subject.url,
        model=subject.model,
        dialect=OPENAI if dialect == "auto" else find_dialect(dialect),
        timeouts=Timeouts(read_s=timeout, total_s=timeout),
        api_key=read_api_key(api_key_env) or None,
    )
    client.expect_endpoint()
    if dialect == "auto":
        client = client.having(dialect=client.detect_dialect())
    return client if subject.model else client.having(model=_served_model(client))


def _served_model(client: "Client") -> str:
    """The one model that is listed; none where the server lists none or its list is broken."""
    try:
        names = [entry.id for entry in client.models()]
    except EndpointUnfit:
        return ""
    if len(names) > 1:
        raise InvalidInput(
            "this server has several models",
            evidence=", ".join(names[:10]),
            next_step="Choose one with --model.",
        )
    return names[0] if names else ""


def _list_checks(as_json: bool) -> int:
    from trt_nemotron.measure.smoke.registry import CHECKS
    from trt_nemotron.measure.smoke.suite import suite_names

    if as_json:
        checks = {check.name: check.about for check in CHECKS.values()}
        print_json({"checks": checks, "suites": list(suite_names())})
        return 0
    width = max(map(len, CHECKS))
    for check in CHECKS.values():
        click.echo(f"{check.name:{width}}  {check.about}")
    click.echo(f"suites: {', '.join(suite_names())}")
    return 0


def _show_result(screen: "Console", result: "SmokeResult") -> None:
    """One line a check; what was seen below it when it failed."""
    from rich.markup import escape

    duration = f"{result.duration_ms:.0f} ms"
    head = f"{_SIGNS[result.status]} {result.name:17} [dim]{duration:>9}[/]"
    screen.print(f"{head}  {escape(_line(result.reason))}", soft_wrap=True)
    if result.status == "fail":
        for name, value in result.evidence.items():
            screen.print(f"      {name}: {_line(value)}", markup=False, soft_wrap=True)


def _line(value: Any) -> str:
    """Evidence as text; what a server sent must not steer the terminal."""
    import json

    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    safe = "".join(sign if sign.isprintable() or sign == "\n" else "?" for sign in text)
    return safe.replace("\n", "\n        ")


def _conclude(screen: "Console", report: "SmokeReport") -> int:
    counts = dict.fromkeys(_SIGNS, 0)
    for result in report.results:
        counts[result.status] += 1
    screen.print(f"{counts['pass']} passed, {counts['fail']} failed, {counts['skip']} skipped")
    if report.passed:
        return 0
    failed = [result.name for result in report.results if result.status == "fail"]
    raise CheckFailed(
        "the endpoint does not answer rightly" if failed else "no check could be asked",
        evidence=", ".join(failed),
        next_step="See the evidence above and the server's log.",
    )
