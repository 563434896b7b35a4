"""The start: a budget of the user's own and the changelog that accounts for it."""

import hashlib
from pathlib import Path

from trt_nemotron.ci_files.rendering import WiringFile
from trt_nemotron.document import read_bytes, read_document
from trt_nemotron.errors import InvalidInput
from trt_nemotron.facts.location import budgets_folder
from trt_nemotron.measure.gate.budget import find_budget

CHANGELOG = "ci/perf-changelog.yaml"

_CHANGELOG_HEAD = """\
# Every change of a budget and of a current baseline, oldest first, with its reason.
# `trt-nemotron baseline check-changelog` compares it with what is there.
schema: trt-nemotron/perf-changelog/1
changes:
"""


def budget_path(target: str) -> str:
    """Where a target's budget lies in a user's repository."""
    return f"ci/budgets/{target}.yaml"


def starting_budget(target: str, source: str) -> WiringFile:
    """The budget to start from.

    Args:
        target: what it has to be for.
        source: a file, the name of a shipped one, or empty for the target's.

    Raises:
        InvalidInput: unreadable, no budget, or one for another target.
    """
    path = Path(source or target)
    is_name = not path.is_file() and not path.suffix
    budget = find_budget(source or target)
    path = budgets_folder() / f"{path}.yaml" if is_name else path
    if budget.target != target:
        raise InvalidInput(
            f"{path} is a budget for {budget.target}, not for {target}",
            evidence="a run on another target than the budget's is invalid",
            next_step="Name a budget for this target, or change its `target:`.",
        )
    return WiringFile(budget_path(target), read_bytes(path).decode(), is_ours=False)


def starting_changelog(budgets: dict[str, bytes], *, date: str) -> WiringFile:
    """A changelog that accounts for these budgets.

    Args:
        budgets: content by file name.
        date: YYYY-MM-DD.
    """
    entries = (
        f"  - date: {date}\n    kind: budget\n    name: {name}\n"
        f"    sha256: {hashlib.sha256(content).hexdigest()}\n"
        '    reason: "as it was when the latency gate was set up"\n'
        for name, content in sorted(budgets.items())
    )
    return WiringFile(CHANGELOG, _CHANGELOG_HEAD + "".join(entries), is_ours=False)


def entries_to_add(changelog: Path, budgets: dict[str, bytes]) -> tuple[str, ...]:
    """What a changelog that is there already does not say yet, with the lines to add.

    Raises:
        InvalidInput: it is no changelog.
    """
    from trt_nemotron.measure.baselines.changelog import PerfChangelog, unsaid_changes

    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in budgets.items()}
    return tuple(unsaid_changes(read_document(changelog, PerfChangelog), hashes, None))
