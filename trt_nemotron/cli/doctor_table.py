"""A doctor's report drawn for people: one line a check, what to do below what is not well."""

from itertools import groupby

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from trt_nemotron.deploy.doctor.values import STATUSES, DoctorReport, Finding, Status

_SIGNS: dict[Status, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "warn": ("!", "yellow"),
    "fail": ("✗", "bold red"),
    "unknown": ("?", "cyan"),
    "skip": ("–", "dim"),  # noqa: RUF001 - a dash, as `smoke` draws it
}
_WORDS: dict[Status, str] = {
    "ok": "well", "warn": "warnings", "fail": "failed", "unknown": "not to be told",
    "skip": "not for this target",
}  # fmt: skip


def draw_report(report: DoctorReport, console: Console | None = None) -> None:
    """Print the report to standard output: it is the result of the command, not talk about it."""
    screen = console or Console(highlight=False)
    screen.print(report_view(report))


def report_view(report: DoctorReport) -> RenderableType:
    """The whole report as something rich can draw."""
    shown = report.having("ok", "warn", "fail", "unknown")
    width = max((len(it.id) for it in shown if ":" not in it.id), default=1)
    groups = [
        part
        for name, findings in groupby(shown, key=lambda it: it.group)
        for part in (Text(name, style="bold"), _table(tuple(findings), width))
    ]
    return Group(_title(report), *groups, "", _counts(report))


def _title(report: DoctorReport) -> Text:
    return Text.assemble(
        "for ",
        (report.target, "bold"),
        f" with {report.runtime} {report.release}".rstrip(),
        (f"\nthis machine looks like {report.detected or 'several'}: ", "dim"),
        (_plain(report.detection), "dim"),
    )


def _table(findings: tuple[Finding, ...], width: int) -> RenderableType:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(min_width=width, max_width=width, overflow="fold")
    table.add_column(overflow="fold")
    for finding in findings:
        sign, style = _SIGNS[finding.status]
        table.add_row(Text(sign, style=style), finding.id, _words(finding))
    return Padding(table, (0, 0, 0, 2))


def _words(finding: Finding) -> Text:
    text = Text(_plain(finding.evidence))
    if finding.remedy:
        text.append("\n→ ", style=_SIGNS[finding.status][1])
        text.append(_plain(finding.remedy))
        text.append(f"\n  {finding.source}", style="dim")
    return text


def _counts(report: DoctorReport) -> Text:
    counts = ((len(report.having(status)), status) for status in STATUSES)
    return Text(", ".join(f"{count} {_WORDS[status]}" for count, status in counts if count))


def _plain(text: str) -> str:
    """What a machine's programs said must not steer the terminal."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)
