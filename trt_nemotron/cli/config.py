"""`trt-nemotron config lint`: hold a configuration file against what a release accepts."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from trt_nemotron.cli.console import json_option, print_json
from trt_nemotron.cli.paths import ANY_PATH

if TYPE_CHECKING:
    from trt_nemotron.facts.configuration.finding import Finding
    from trt_nemotron.facts.release import RuntimeRelease

RUNTIME = "trtllm"


@click.command(short_help="Check a configuration file against a release.")
@click.argument("action", type=click.Choice(["lint"]))
@click.argument("file", type=ANY_PATH)
@click.option("--release", required=True, help="TensorRT-LLM release, such as 1.3.0rc6.")
@click.option("--target", help="Board it is for, such as spark: adds what is known of it there.")
@click.option("--flags", help="The trtllm-serve command line that goes with the file, quoted.")
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Set a key after the file."
)
@json_option
def command(
    *,
    action: str,
    file: Path,
    release: str,
    target: str | None,
    flags: str | None,
    assignments: tuple[str, ...],
    as_json: bool,
) -> int:
    """Check a configuration file against a release.

    FILE is what trtllm-serve takes as --extra_llm_api_options or --config. Unknown, moved and
    conflicting keys, wrong types and values, and knobs given twice are errors: the server would
    find them only after loading. Exit code 1 when there is one, 0 otherwise.
    """
    from trt_nemotron.document import read_bytes
    from trt_nemotron.facts.catalogue import load_release, load_target
    from trt_nemotron.facts.configuration.accepting import releases_that_accept
    from trt_nemotron.facts.configuration.check import check_configuration
    from trt_nemotron.facts.configuration.entry import read_yaml, with_assignments

    facts = load_release(RUNTIME, release)
    written = with_assignments(read_yaml(read_bytes(file), str(file)), assignments)
    findings = check_configuration(
        written,
        facts,
        accepting=releases_that_accept(RUNTIME),
        flags=flags,
        target=load_target(target) if target else None,
    )
    errors = sum(finding.severity == "error" for finding in findings)
    if as_json:
        print_json(_as_tree(file, facts, findings))
    else:
        _show(file, facts, findings)
    return 1 if errors else 0


def _as_tree(
    file: Path, release: "RuntimeRelease", findings: "tuple[Finding, ...]"
) -> dict[str, object]:
    return {
        "file": str(file),
        "release": release.release,
        "exactness": release.exactness,
        "errors": sum(finding.severity == "error" for finding in findings),
        "warnings": sum(finding.severity == "warning" for finding in findings),
        "findings": findings,
    }


def _show(file: Path, release: "RuntimeRelease", findings: "tuple[Finding, ...]") -> None:
    for finding in findings:
        where = f"{file}:{finding.line}" if finding.line else str(file)
        colour = "red" if finding.severity == "error" else "yellow"
        head = click.style(f"{finding.severity}[{finding.rule}]", fg=colour, bold=True)
        click.echo(f"{where}: {head} {finding.place}: {finding.message}", err=True)
        click.echo(f"    fix: {finding.fix}", err=True)
        if finding.source:
            click.echo(f"    source: {finding.source}", err=True)
    errors = sum(finding.severity == "error" for finding in findings)
    if release.exactness is not None and release.exactness.value == "approximate":
        click.echo(
            f"note: {release.release} is known approximately; keys marked so say it", err=True
        )
    verdict = "accepted" if not errors else "refused"
    click.echo(
        f"{file}: {verdict} by {release.release}: {errors} errors,"
        f" {len(findings) - errors} warnings",
        err=True,
    )
