"""The verdict as Markdown: a comment on a pull request, or a CI job's summary."""

from trt_nemotron.measure.gate.outcome import headline
from trt_nemotron.measure.gate.values import BoundResult, Verdict
from trt_nemotron.measure.report import words

_SPECIAL = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]|<>#~@"} | {"\n": " ", "\r": " "})


def render_markdown(verdict: Verdict, notice: str = "") -> str:
    """First line: the decision and its reason. Then a row for each bound."""
    lines = [f"**{_escape(headline(verdict))}**", ""]
    if notice:
        lines += [f"> {_escape(notice)}", ""]
    lines += [f"- {_escape(reason)}" for reason in verdict.invalid_reasons]
    lines += [f"- {_escape(f'{words.LATE}: {reason}')}" for reason in verdict.notes]
    lines += [f"- {_escape(f'{words.REMARK}: {remark}')}" for remark in verdict.remarks]
    lines += [""] if verdict.invalid_reasons or verdict.notes or verdict.remarks else []
    lines += [
        "| decision | metric | streams | measured | limits | bound | baseline |",
        "|---|---|---:|---:|---:|---:|---:|",
        *(_row(result) for result in verdict.results),
        "",
        f"Limits hold with {verdict.confidence:.0%} confidence each.",
    ]
    return "\n".join(lines) + "\n"


def _row(result: BoundResult) -> str:
    cells = (
        f"{words.DECISION_SIGNS[result.decision]} {words.DECISION_WORDS[result.decision].lower()}",
        f"`{result.metric}`",
        result.at or words.NOTHING,
        words.figure(result),
        words.interval(result.low, result.high) or words.NOTHING,
        words.bound(result),
        words.number(result.baseline),
    )
    return f"| {' | '.join(cells)} |"


def _escape(text: str) -> str:
    """Text of a server or a file, so that it can neither format nor mention anybody."""
    return text.translate(_SPECIAL)
