"""`gate --self-test`: what was injected, what it should have come to, and what it came to."""

from typing import TYPE_CHECKING

import click

from trt_nemotron.cli.console import console, drawn_progress, print_json

if TYPE_CHECKING:
    from rich.table import Table

    from trt_nemotron.measure.self_test.trial import SelfTest

_COLOURS = {"right": "green", "wrong": "bold red", "undecided": "yellow"}


def run_self_test(*, as_json: bool, is_dry: bool) -> int:
    """Run it and show the table; the exit code is the self-test's."""
    from trt_nemotron.measure.self_test.cases import PAIRED, SINGLE

    if is_dry:
        names = [*(case.name for case in SINGLE), *(case.name for case in PAIRED)]
        if as_json:
            print_json({"would_inject": names})
        else:
            click.echo("would inject, into servers on 127.0.0.1:", err=True)
            for name in names:
                click.echo(f"  {name}", err=True)
        return 0
    from trt_nemotron.measure.self_test.trial import run_trials

    with drawn_progress(is_quiet=as_json) as progress:
        found = run_trials(progress)
    if as_json:
        print_json(found)
    else:
        _show(found)
    return found.exit_code


def _show(found: "SelfTest") -> None:
    screen = console()
    screen.print(_table(found))
    counts = {
        outcome: sum(trial.outcome == outcome for trial in found.trials) for outcome in _COLOURS
    }
    screen.print(
        f"{counts['right']} of {len(found.trials)} judged rightly, {counts['wrong']} wrongly, "
        f"{counts['undecided']} undecided, in {found.duration_s:g} s",
        markup=False,
    )
    if counts["undecided"]:
        screen.print(
            "undecided: this machine was too busy to tell; it shows neither that the gate works "
            "nor that it does not. Run it again when less is going on.",
            markup=False,
        )
    for trial in found.trials:
        if trial.outcome != "right":
            screen.print(f"  {trial.outcome}: {trial.injected}: {trial.reason}", markup=False)


def _table(found: "SelfTest") -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("injected", "expected", "got", ""):
        table.add_column(title)
    for trial in found.trials:
        table.add_row(
            trial.injected,
            trial.expected,
            trial.got,
            Text(trial.outcome, style=_COLOURS[trial.outcome]),
        )
    return table
