"""The runner: asks the checks one after another and keeps what each found.

A server that dies or hangs in the middle is found out once, by a short request after a check that
failed on the wire; what is left then fails at once, with that as its reason.
"""

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone

from trt_nemotron.errors import EndpointUnfit
from trt_nemotron.measure.smoke.interview import (
    Clock,
    Evidence,
    Interview,
    Passed,
    Skipped,
    Wrong,
    short_request,
)
from trt_nemotron.measure.smoke.registry import Check
from trt_nemotron.measure.smoke.suite import Suite
from trt_nemotron.measure.smoke.values import CheckStatus, SmokeReport, SmokeResult
from trt_nemotron.openai.client import CHAT_PATH, Client
from trt_nemotron.openai.request import chat_body, encode_body

PROBE_S = 10.0
"""How long a server may take for one token before it counts as gone; never above the time-out."""

Listener = Callable[[SmokeResult], None]


def run_smoke(
    client: Client,
    suite: Suite,
    checks: Sequence[Check],
    *,
    listener: Listener | None = None,
    clock: Clock = time.perf_counter,
    now: Callable[[], datetime] | None = None,
    cancelled_tokens: int = 4096,
) -> SmokeReport:
    """Ask all `checks`.

    Args:
        client: of the server to ask; its time-outs bound every request.
        suite: the questions.
        checks: which to ask, in order.
        listener: told of each result as soon as it is there.
        clock: monotonic seconds, for durations.
        now: the time of day, for the report.
        cancelled_tokens: length of the answers that are asked for in order to be cancelled.

    Returns:
        A result for every check; a fault of the server is a result, never an error.
    """
    started = (now or _utc_now)()
    interview = Interview(
        client=client,
        suite=suite,
        clock=clock,
        context_tokens=_context_tokens(client),
        cancelled_tokens=cancelled_tokens,
    )
    results: list[SmokeResult] = []
    gone = ""
    for check in checks:
        result = _refused(check, gone) if gone else run_check(check, interview)
        if not gone and result.status == "fail" and not _is_usable(client, result):
            gone = check.name
        results.append(result)
        if listener is not None:
            listener(result)
    return SmokeReport(
        url=client.url,
        model=client.model,
        suite=suite.name,
        started_at=started.isoformat(timespec="seconds"),
        results=tuple(results),
    )


def run_check(check: Check, interview: Interview) -> SmokeResult:
    """Ask one check, and time it."""
    started = interview.clock()
    status, reason, evidence = _outcome(check, interview)
    return SmokeResult(
        name=check.name,
        status=status,
        reason=reason,
        evidence=evidence,
        duration_ms=round((interview.clock() - started) * 1000, 3),
    )


def is_responding(client: Client, *, is_streamed: bool = False) -> bool:
    """Whether the server ends a chat request in reasonable time, with whatever status."""
    probe = client.having(timeouts=client.timeouts.within(PROBE_S))
    body = chat_body(short_request(), is_streamed=is_streamed, dialect=client.dialect)
    try:
        probe.post(CHAT_PATH, encode_body(body))
    except EndpointUnfit:
        return False
    return True


def _is_usable(client: Client, failed: SmokeResult) -> bool:
    """Whether to go on after a failure; streams are looked at too when it was one of time."""
    if not is_responding(client):
        return False
    was_slow = failed.duration_ms >= client.timeouts.total_s * 1000
    return not was_slow or is_responding(client, is_streamed=True)


def _outcome(check: Check, interview: Interview) -> tuple[CheckStatus, str, Evidence]:
    missing = interview.client.dialect.missing
    if check.feature is not None and check.feature in missing:
        return "skip", missing[check.feature], {}
    try:
        passed: Passed = check.run(interview)
    except Wrong as fault:
        return "fail", fault.message, fault.details
    except Skipped as reason:
        return "skip", str(reason), {}
    except EndpointUnfit as fault:
        return "fail", fault.message, {"seen": fault.evidence, "next_step": fault.next_step}
    return "pass", passed.reason, passed.evidence


def _refused(check: Check, gone: str) -> SmokeResult:
    return SmokeResult(
        name=check.name,
        status="fail",
        reason=f"not asked: the server stopped answering at the check {gone}",
        evidence={},
        duration_ms=0.0,
    )


def _context_tokens(client: Client) -> int | None:
    """How long a request may be, where the list of models tells; its faults are `model_list`'s."""
    try:
        entries = client.models()
    except EndpointUnfit:
        return None
    named = [entry for entry in entries if not client.model or entry.id == client.model]
    return named[0].context_tokens if named else None


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)
