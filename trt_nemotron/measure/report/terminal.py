"""The verdict on a terminal, for `gate` and `check`."""

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from trt_nemotron.measure.gate.outcome import headline
from trt_nemotron.measure.gate.values import BoundResult, Decision, Verdict
from trt_nemotron.measure.report import words

_COLOURS: dict[Decision, str] = {
    "pass": "green",
    "fail": "red",
    "invalid": "yellow",
    "no_baseline": "yellow",
    "inconclusive": "yellow",
}


def verdict_view(verdict: Verdict, notice: str = "") -> RenderableType:
    """First line: the decision and its reason. Then every bound, and why the run is not valid.

    Text from files and servers is `Text`, never markup.
    """
    colour = _COLOURS[verdict.decision]
    first = Text(headline(verdict), style=f"bold {colour}")
    parts: list[RenderableType] = [first]
    if notice:
        parts.append(Text(f"Note: {notice}.", style="dim"))
    parts += [Text(f"{words.LATE}: {reason}", style="yellow") for reason in verdict.notes]
    parts += [Text(f"{words.REMARK}: {remark}", style="yellow") for remark in verdict.remarks]
    parts.append(_bounds(verdict))
    said = verdict.decision == "invalid"
    parts += [
        Text(f"  not valid: {reason}", style="yellow")
        for reason in verdict.invalid_reasons[1 if said else 0 :]
    ]
    parts += [
        Text(
            f"  {words.DECISION_WORDS[r.decision].lower()}: {r.reason}", style=_COLOURS[r.decision]
        )
        for r in verdict.results
        if r.decision not in {"pass", "invalid"}
    ]
    return Group(*parts)


def _bounds(verdict: Verdict) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0, 0, 1))
    table.add_column("")
    table.add_column("metric", min_width=max((len(r.metric) for r in verdict.results), default=0))
    for title in ("streams", "measured", "limits", "bound"):
        table.add_column(title, justify="right")
    for result in verdict.results:
        table.add_row(*_cells(result))
    return table


def _cells(result: BoundResult) -> tuple[Text | str, ...]:
    return (
        Text(words.DECISION_SIGNS[result.decision], style=_COLOURS[result.decision]),
        result.metric,
        result.at,
        words.figure(result),
        words.interval(result.low, result.high),
        words.bound(result),
    )
