"""What a decision means to the shell, and which of several is the worst."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from trt_nemotron.errors import (
    CheckFailed,
    Inconclusive,
    NoBaseline,
    NoValidMeasurement,
    TrtNemotronError,
)
from trt_nemotron.measure.gate.values import Decision, Verdict

WORST_FIRST: tuple[Decision, ...] = ("fail", "invalid", "no_baseline", "inconclusive", "pass")
"""A failure is only ever stated from valid data, so nothing outranks it. Then comes what could not
be judged at all, what had nothing to compare with, and what the samples did not decide."""

_ERRORS: Mapping[Decision, type[TrtNemotronError]] = MappingProxyType(
    {
        "fail": CheckFailed,
        "invalid": NoValidMeasurement,
        "no_baseline": NoBaseline,
        "inconclusive": Inconclusive,
    }
)


def worst(decisions: Iterable[Decision]) -> Decision:
    """The worst of `decisions`; `invalid` when there are none, for nothing judged is no pass."""
    return min(decisions, key=WORST_FIRST.index, default="invalid")


def exit_code(decision: Decision) -> int:
    """0 pass, 1 fail, 4 invalid, 5 no_baseline, 6 inconclusive: the codes of the error tree."""
    return 0 if decision == "pass" else _ERRORS[decision].exit_code


def headline(verdict: Verdict) -> str:
    """The verdict in one line: the decision, and the reason of the worst result."""
    if verdict.decision == "pass":
        count = len(verdict.results)
        kept = f"all {count} bounds are kept" if count > 1 else "the one bound is kept"
        return f"PASS: {kept} (budget for {verdict.budget})"
    reasons = _reasons(verdict)
    if verdict.decision == "invalid" and verdict.invalid_reasons:
        reasons = verdict.invalid_reasons
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    name = verdict.decision.replace("_", " ").upper()
    return f"{name}: {reasons[0] if reasons else 'no reason given'}{more}"


def _reasons(verdict: Verdict) -> tuple[str, ...]:
    """Reasons of the results that have the verdict's own decision."""
    return tuple(r.reason for r in verdict.results if r.decision == verdict.decision)
