"""The verdict as workflow commands, which GitHub draws beside a job and on the pull request.

Escaping as in https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts: a reason
may hold text of a server, and must not become a command of its own.
"""

from trt_nemotron.measure.gate.outcome import headline
from trt_nemotron.measure.gate.values import Verdict

_MOST = 10
"""GitHub keeps ten errors and ten warnings of a step and drops the rest."""


def render_annotations(verdict: Verdict, budget_file: str = "") -> str:
    """A line for the verdict, then one for each bound that is not kept.

    `fail` is an error, what was not decided a warning, a pass a notice; only the exit code stops a
    job.

    Args:
        verdict: what was found.
        budget_file: the annotations are pinned to it where it is a file of the repository.
    """
    lines = [_line(verdict.decision, "trt-nemotron gate", headline(verdict), budget_file)]
    lines += [
        _line(result.decision, f"{result.metric} {result.decision}", result.reason, budget_file)
        for result in verdict.results
        if result.decision != "pass"
    ][: _MOST - 1]
    return "".join(f"{line}\n" for line in lines)


def _line(decision: str, title: str, message: str, file: str) -> str:
    level = {"pass": "notice", "fail": "error"}.get(decision, "warning")
    pinned = f"file={_property(file)}," if file else ""
    return f"::{level} {pinned}title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
