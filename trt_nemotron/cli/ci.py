"""`trt-nemotron ci`: wire the gate into a repository's CI, and conclude a job there."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from trt_nemotron.cli.console import console, dry_run_option, json_option, print_json
from trt_nemotron.cli.paths import FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable

    from trt_nemotron.ci_files.writing import Intent
    from trt_nemotron.measure.gate.values import Verdict
    from trt_nemotron.pipeline.conclusion import Concluded

_NAMES = click.Choice(["github", "gitlab", "jenkins"])


@click.group(short_help="Wire the gate into a repository's CI.")
def command() -> None:
    """Write the files that run the gate in CI, and tell a job's outcome there.

    \b
    trt-nemotron ci init --provider github --target spark --dry-run
    trt-nemotron ci init --provider gitlab --target thor --budget my-thor.yaml
    """


@command.command("init", short_help="Write the CI files into a repository.")
@click.option("--provider", type=_NAMES, required=True, help="The CI system.")
@click.option("--target", required=True, help="Target to gate, see `trt-nemotron targets`.")
@click.option(
    "--budget", default="", help="Budget to start from: a file, or a target that has one."
)
@click.option(
    "--runner-label",
    default="",
    help="Label of the device's runner.  [default: trt-nemotron-TARGET]",
)
@click.option(
    "--profile",
    type=click.Choice(["quick", "standard", "stress", "sweep"]),
    default="quick",
    show_default=True,
    help="Workload of the bench.",
)
@click.option(
    "--package", default="", help="What pip installs in a job.  [default: the tool on the PATH]"
)
@click.option("--baseline-store", default="", help="Where baselines are kept, for relative bounds.")
@click.option(
    "--repository", type=FOLDER, default=Path(), help="Folder to write into.  [default: here]"
)
@click.option("--force", is_flag=True, help="Write over CI files that differ.")
@json_option
@dry_run_option
def init_command(
    *,
    provider: str,
    target: str,
    budget: str,
    runner_label: str,
    profile: str,
    package: str,
    baseline_store: str,
    repository: Path,
    force: bool,
    as_json: bool,
    dry_run: bool,
) -> None:
    """Write the files that gate TARGET in CI, a budget to start from and its changelog.

    A CI file that is there and differs is shown and left alone unless --force is given; a budget
    and a changelog that are there are yours and never written over.
    """
    from trt_nemotron.ci_files.providers import PROVIDERS
    from trt_nemotron.ci_files.rendering import Choices, render
    from trt_nemotron.ci_files.start import budget_path, starting_budget
    from trt_nemotron.ci_files.writing import intend, unread_here, write
    from trt_nemotron.facts.catalogue import load_target

    load_target(target)
    choices = Choices(
        target=target,
        runner_label=runner_label or f"trt-nemotron-{target}",
        budget=budget_path(target),
        profile=profile,
        package=package,
        baseline_store=baseline_store,
    )
    wired = intend(repository, render(PROVIDERS[provider], choices))
    begun = intend(repository, [starting_budget(target, budget)])
    intents, to_add = _with_changelog(repository, (*wired, *begun))
    written = () if dry_run else write(repository, intents, force=force)
    steps = (*to_add, *unread_here(repository), PROVIDERS[provider].next_step)
    if as_json:
        print_json({"files": _as_trees(intents), "written": written, "next_steps": steps})
    else:
        _show(intents, steps, dry_run=dry_run)


def _with_changelog(
    repository: Path, intents: "tuple[Intent, ...]"
) -> "tuple[tuple[Intent, ...], tuple[str, ...]]":
    """With a changelog for all budgets there will be, or with the entries that one there lacks."""
    import datetime as dt

    from trt_nemotron.ci_files.start import CHANGELOG, entries_to_add, starting_changelog
    from trt_nemotron.ci_files.writing import intend
    from trt_nemotron.document import read_bytes

    folder = (repository / CHANGELOG).parent / "budgets"
    budgets = {path.name: read_bytes(path) for path in sorted(folder.glob("*.yaml"))}
    (budget,) = (intent for intent in intents if not intent.file.is_ours)
    budgets.setdefault(Path(budget.file.path).name, budget.file.text.encode())
    if (repository / CHANGELOG).is_file():
        return intents, entries_to_add(repository / CHANGELOG, budgets)
    today = dt.datetime.now(dt.timezone.utc).date().isoformat()
    return (*intents, *intend(repository, [starting_changelog(budgets, date=today)])), ()


def _as_trees(intents: "tuple[Intent, ...]") -> list[dict[str, str]]:
    return [
        {"path": intent.file.path, "state": intent.state, "diff": intent.diff} for intent in intents
    ]


def _show(intents: "tuple[Intent, ...]", steps: tuple[str, ...], *, dry_run: bool) -> None:
    screen = console()
    would = "would be " if dry_run else ""
    words = {
        "new": f"{would}written",
        "same": "there already",
        "differs": f"{would}overwritten, with --force",
        "kept": "yours, left as it is",
    }
    for intent in intents:
        line = f"{intent.file.path}: {words[intent.state]}"
        screen.print(line, markup=False, soft_wrap=True)
        if intent.diff:
            screen.print(intent.diff, markup=False, soft_wrap=True)
    for step in steps:
        screen.print(f"next: {step}", markup=False, soft_wrap=True)


@command.command("conclude", short_help="Tell a CI job's outcome, and end with its exit code.")
@click.argument("folder", type=FOLDER)
@click.option("--budget", required=True, metavar="FILE|TARGET", help="The budget of the check.")
@click.option("--check-exit-code", type=int, required=True, help="What `check` ended with.")
@click.option("--provider", type=_NAMES, required=True, help="The CI system that the job runs in.")
@click.option("--baseline-store", help="Baselines for relative bounds.")
@json_option
@dry_run_option
def conclude_command(
    *,
    folder: Path,
    budget: str,
    check_exit_code: int,
    provider: str,
    baseline_store: str | None,
    as_json: bool,
    dry_run: bool,
) -> int:
    """Conclude a job from FOLDER, which `check` wrote: 0 for a pass and for nothing else.

    Writes conclusion.json, conclusion.md and conclusion.junit.xml into FOLDER whatever happened; on
    GitHub also annotations, the step's summary and the outputs `decision` and `exit-code`.
    """
    from trt_nemotron.pipeline.conclusion import conclude
    from trt_nemotron.pipeline.telling import as_markdown

    again = _judge_with(baseline_store, folder, budget) if baseline_store else None
    concluded = conclude(folder, check_exit_code, again)
    summary = as_markdown(concluded, _notice(folder))
    if not dry_run:
        _keep(concluded, summary, folder)
    if provider == "github" and not as_json:
        _annotate(concluded, budget)
    if provider == "github" and not dry_run:
        _tell_github(concluded, summary)
    if as_json:
        print_json(concluded.conclusion)
    else:
        console().print(concluded.conclusion.headline, markup=False, soft_wrap=True)
    return concluded.conclusion.exit_code


def _judge_with(location: str, folder: Path, budget: str) -> "Callable[[], Verdict]":
    def judge_again() -> "Verdict":
        from trt_nemotron.document import read_document
        from trt_nemotron.measure.baselines.finding import find_kept
        from trt_nemotron.measure.baselines.storage import open_storage
        from trt_nemotron.measure.bench.replay import read_measurement
        from trt_nemotron.measure.gate.budget import find_budget
        from trt_nemotron.measure.gate.judge import judge
        from trt_nemotron.measure.smoke.values import SmokeReport

        run = read_measurement(folder / "measurement.json.gz")
        kept = find_kept(open_storage(location), run)
        return judge(
            find_budget(budget),
            run,
            smoke=read_document(folder / "smoke.json", SmokeReport),
            baseline=kept.baseline,
            why_no_baseline=kept.why_none,
            history=kept.history,
        )

    return judge_again


def _keep(concluded: "Concluded", summary: str, folder: Path) -> None:
    from trt_nemotron.document import write_atomically, write_document
    from trt_nemotron.pipeline.telling import as_junit

    write_atomically(folder / "conclusion.md", summary.encode())
    write_atomically(folder / "conclusion.junit.xml", as_junit(concluded))
    write_document(folder / "conclusion.json", concluded.conclusion)


def _notice(folder: Path) -> str:
    """That the figures are the embedded model's, where they are; a damaged file says nothing."""
    from trt_nemotron.errors import InvalidInput
    from trt_nemotron.measure.bench.replay import read_measurement
    from trt_nemotron.measure.report.contents import notice_for

    try:
        return notice_for(read_measurement(folder / "measurement.json.gz").environment)
    except InvalidInput:
        return ""


def _annotate(concluded: "Concluded", budget: str) -> None:
    """Pinned to the budget where it is a file of the repository that the job stands in."""
    from trt_nemotron.pipeline.telling import as_annotations

    is_inside = Path(budget).is_file() and not Path(budget).is_absolute()
    click.echo(as_annotations(concluded, budget if is_inside else ""), nl=False)


def _tell_github(concluded: "Concluded", summary: str) -> None:
    """Add to the files that GitHub names; a job of another system names none."""
    import os

    from trt_nemotron.pipeline.telling import as_outputs

    told = {"GITHUB_STEP_SUMMARY": summary, "GITHUB_OUTPUT": as_outputs(concluded)}
    for variable, text in told.items():
        if os.environ.get(variable):
            with Path(os.environ[variable]).open("a", encoding="utf-8") as file:
                file.write(text)
