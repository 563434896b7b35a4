"""The verdict and the smoke checks as rows of the page."""

import json
from dataclasses import dataclass

from markupsafe import Markup

from trt_nemotron.measure.gate.outcome import WORST_FIRST, headline
from trt_nemotron.measure.gate.values import BoundResult, Decision, Verdict
from trt_nemotron.measure.report import words
from trt_nemotron.measure.report.contents import ReportContents
from trt_nemotron.measure.report.plots.bullet import bullet
from trt_nemotron.measure.smoke.values import CheckStatus, SmokeReport

_MOST_EVIDENCE = 20_000
_STATUS_ORDER: tuple[CheckStatus, ...] = ("fail", "skip", "pass")


@dataclass(frozen=True, slots=True)
class Banner:
    """The first thing on the page."""

    word: str
    sign: str
    decision: Decision | None
    sentence: str
    subject: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BoundRow:
    """One bound of the verdict."""

    name: str
    title: str
    streams: str
    figure: str
    interval: str
    bound: str
    baseline: str
    bullet: Markup
    decision: Decision
    word: str


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One smoke check with its evidence as readable JSON."""

    name: str
    status: CheckStatus
    reason: str
    evidence: str


def banner(contents: ReportContents) -> Banner:
    """The decision, or plainly that nothing was judged."""
    verdict = contents.verdict
    subject = _subject(contents)
    if verdict is None:
        return _banner_of_smoke(contents.smoke, subject)
    word, _, sentence = headline(verdict).partition(": ")
    return Banner(
        word=word,
        sign=words.DECISION_SIGNS[verdict.decision],
        decision=verdict.decision,
        sentence=sentence[:1].upper() + sentence[1:] + ".",
        subject=subject,
        reasons=_more_reasons(verdict, sentence),
    )


def _banner_of_smoke(smoke: SmokeReport | None, subject: str) -> Banner:
    """Without a verdict only wrong answers decide: they end a check before it measures."""
    failed = [] if smoke is None else [r.name for r in smoke.results if r.status == "fail"]
    if failed:
        sentence = f"{len(failed)} smoke checks failed: {', '.join(failed)}."
        return Banner("FAIL", words.DECISION_SIGNS["fail"], "fail", sentence, subject)
    return Banner("Not judged", "", None, "Results without a verdict.", subject)


def bound_rows(verdict: Verdict | None) -> list[BoundRow]:
    """The worst first, otherwise in the budget's order."""
    if verdict is None:
        return []
    ordered = sorted(verdict.results, key=lambda r: WORST_FIRST.index(r.decision))
    return [_bound_row(result) for result in ordered]


def check_rows(smoke: SmokeReport | None) -> list[CheckRow]:
    """Failures first, then what was skipped."""
    if smoke is None:
        return []
    ordered = sorted(smoke.results, key=lambda result: _STATUS_ORDER.index(result.status))
    return [
        CheckRow(
            name=result.name,
            status=result.status,
            reason=result.reason,
            evidence=_readable(result.evidence),
        )
        for result in ordered
    ]


def smoke_sentence(smoke: SmokeReport | None) -> str:
    """How many checks passed, failed and were skipped, and by which suite."""
    if smoke is None:
        return ""
    counts = {
        status: sum(result.status == status for result in smoke.results)
        for status in ("pass", "fail", "skip")
    }
    return (
        f"{counts['pass']} passed, {counts['fail']} failed, {counts['skip']} skipped; "
        f"suite {smoke.suite}, model {smoke.model}. Open a line for what was sent and came back."
    )


def _subject(contents: ReportContents) -> str:
    if contents.measurement is not None:
        environment = contents.measurement.environment
        parts = (
            environment.model,
            f"{environment.runtime} {environment.release}",
            f"target {environment.target}",
            contents.measurement.started_at,
        )
        return " · ".join(parts)
    if contents.smoke is not None:
        return f"{contents.smoke.model} · {contents.smoke.started_at}"
    return contents.verdict.budget if contents.verdict is not None else "nothing measured"


def _more_reasons(verdict: Verdict, said: str) -> tuple[str, ...]:
    """What the one sentence had no room for, each once; for a pass how it was judged."""
    remarks = tuple(f"{words.REMARK}: {remark}" for remark in verdict.remarks)
    if verdict.decision == "pass":
        return (*(f"{words.LATE}: {reason}." for reason in verdict.notes), *remarks)
    faults = verdict.invalid_reasons
    open_bounds = [result.reason for result in verdict.results if result.decision != "pass"]
    reasons = [*faults, *(r for r in open_bounds if not any(fault in r for fault in faults))]
    unsaid = (reason for reason in dict.fromkeys(reasons) if not said.startswith(reason))
    return (*unsaid, *remarks)


def _bound_row(result: BoundResult) -> BoundRow:
    baseline = "" if result.baseline is None else f"baseline {words.number(result.baseline)}"
    return BoundRow(
        name=result.metric,
        title=words.title(result),
        streams=result.at,
        figure=words.figure(result),
        interval=words.interval(result.low, result.high),
        bound=words.bound(result),
        baseline=baseline,
        bullet=Markup(bullet(result)),  # noqa: S704 - escaped by ElementTree
        decision=result.decision,
        word=words.DECISION_WORDS[result.decision].lower(),
    )


def _readable(evidence: dict[str, object]) -> str:
    text = json.dumps(evidence, indent=2, ensure_ascii=False, default=str)
    if len(text) <= _MOST_EVIDENCE:
        return text
    return f"{text[:_MOST_EVIDENCE]}\n[cut: {len(text) - _MOST_EVIDENCE} more characters]"
