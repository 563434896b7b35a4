"""The self-test: each case through the whole path, from the client over the wire to the verdict.

Not the rules alone are tried: a server process of known timing, the measuring client, validity, the
statistics and the verdict, all as they are. What was expected is compared with what came out. A
machine too busy to tell is no success and no failure: it is said, with an exit code of its own.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import ClassVar, Literal

from trt_nemotron import command
from trt_nemotron.document import Document, Value
from trt_nemotron.errors import (
    CheckFailed,
    EnvironmentUnfit,
    Inconclusive,
    NoValidMeasurement,
)
from trt_nemotron.measure.bench.alternating import Server, open_alternation
from trt_nemotron.measure.bench.environment import describe_environment
from trt_nemotron.measure.bench.kept_floors import KeptFloors
from trt_nemotron.measure.bench.runner import MeasureClient, run_bench
from trt_nemotron.measure.bench.values import Environment, Measurement, Workload
from trt_nemotron.measure.gate.ab import run_ab_by_requests
from trt_nemotron.measure.gate.ab_pair import Arm
from trt_nemotron.measure.gate.design import make_design
from trt_nemotron.measure.gate.judge import judge
from trt_nemotron.measure.gate.values import Decision, Verdict
from trt_nemotron.measure.self_test.cases import (
    OUTPUT_TOKENS,
    PAIRED,
    PAIRED_BUDGET,
    SINGLE,
    TARGET,
    Case,
    PairedCase,
    Timing,
)
from trt_nemotron.openai.dialect import find_dialect
from trt_nemotron.progress import SILENT, Progress
from trt_nemotron.redaction import scrubbed_environment

Outcome = Literal["right", "wrong", "undecided"]

LONGEST_S = 90.0
MOST_PAIRS = 132
"""Of neighbouring requests: some seconds."""
SEED = 20_260_101
_NOTHING = "none: a server of known timing"
_START_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 2.0


class Trial(Value, frozen=True, kw_only=True):
    """One injection.

    Attributes:
        injected: what was wrong with the server, for people.
        got: the decision; `inconclusive` where time ran out.
        outcome: `undecided` where the machine was too busy to tell: it says neither that the gate
            works nor that it does not.
        reason: the verdict's own sentence.
    """

    injected: str
    expected: Decision
    got: Decision
    outcome: Outcome
    reason: str


class SelfTest(Document, frozen=True, kw_only=True):
    """All injections, in order."""

    SCHEMA: ClassVar[str] = "trt-nemotron/self-test/1"

    trials: tuple[Trial, ...]
    duration_s: float

    @property
    def exit_code(self) -> int:
        """0 all right, 1 something judged wrongly, 6 nothing wrong but not all decided."""
        outcomes = {trial.outcome for trial in self.trials}
        if "wrong" in outcomes:
            return CheckFailed.exit_code
        return Inconclusive.exit_code if "undecided" in outcomes or not outcomes else 0


def run_trials(
    progress: Progress = SILENT,
    *,
    clock: Callable[[], float] = time.monotonic,
    longest_s: float = LONGEST_S,
    single: Sequence[Case] = SINGLE,
    paired: Sequence[PairedCase] = PAIRED,
) -> SelfTest:
    """Try every case.

    Args:
        progress: told of each.
        clock: monotonic seconds.
        longest_s: after which no further pair is begun; what is then open is undecided.
        single: one run each, by absolute bounds.
        paired: A against B.

    Raises:
        EnvironmentUnfit: no server could be started on 127.0.0.1.
    """
    begun = clock()
    trials: list[Trial] = []
    floors = KeptFloors()
    for case in single:
        progress.phase(f"injecting: {case.name}")
        trials.append(_try_single(case, floors))
    for pair in paired:
        progress.phase(f"injecting: {pair.name}")
        trials += _try_paired(pair, progress, floors, lambda: clock() - begun > longest_s)
    return SelfTest(trials=tuple(trials), duration_s=round(clock() - begun, 1))


def outcome_of(expected: Decision, reason: str, got: Decision, said: str) -> Outcome:
    """Whether a verdict is right, and for the right reason.

    `inconclusive` is never wrong: it stops a job and claims nothing. Nor is an `invalid` where a
    decision was expected: the client said that this machine was too busy for it.
    """
    if got == expected and reason in said:
        return "right"
    if got == "inconclusive" or (got == "invalid" and expected in {"pass", "fail"}):
        return "undecided"
    # An `invalid` for another reason shows nothing of the fault that was injected.
    return "undecided" if got == expected else "wrong"


def _try_single(case: Case, floors: MeasureClient) -> Trial:
    with fault_server(case.timing) as url:
        try:
            run = _bench(url, _workload(case.concurrency, case.requests, 1), floors)
        except NoValidMeasurement as fault:
            got: Decision = "invalid"
            said = fault.message
        else:
            verdict = judge(case.budget, run)
            got, said = verdict.decision, _said(verdict)
    return Trial(
        injected=case.name,
        expected=case.expected,
        got=got,
        outcome=outcome_of(case.expected, case.reason, got, said),
        reason=said,
    )


def _try_paired(
    case: PairedCase, progress: Progress, floors: MeasureClient, is_late: Callable[[], bool]
) -> Iterator[Trial]:
    design = make_design(len(PAIRED_BUDGET.relative), most_pairs=MOST_PAIRS)
    with fault_server(case.a) as a, fault_server(case.b) as b:
        servers = [
            Server(url, "known-timing", find_dialect("openai"), _environment()) for url in (a, b)
        ]
        in_turn = open_alternation(servers, _workload(1, 8, 1), floors)

        def measure(number: int, order: tuple[Arm, ...]) -> tuple[Measurement, Measurement]:
            if is_late():
                raise Inconclusive(
                    f"no more than {LONGEST_S:g} s are spent: round {number} is open"
                )
            one, other = in_turn.measure([0 if arm == "a" else 1 for arm in order])
            return one, other

        try:
            verdict = run_ab_by_requests(
                PAIRED_BUDGET, design, measure, seed=SEED, progress=progress
            ).verdict
            found = {result.metric: (result.decision, result.reason) for result in verdict.results}
        except Inconclusive as fault:
            found = dict.fromkeys(case.expected, ("inconclusive", fault.message))
    for name, (injected, expected) in case.expected.items():
        got, said = found[name]
        yield Trial(
            injected=injected,
            expected=expected,
            got=got,
            outcome=outcome_of(expected, "", got, said),
            reason=said,
        )


@contextmanager
def fault_server(timing: Timing) -> Iterator[str]:
    """A server process of that timing; its URL.

    Raises:
        EnvironmentUnfit: it did not start.
    """
    script = Path(__file__).with_name("fault_server.py")
    argv = [sys.executable, "-I", "-S", str(script), json.dumps(asdict(timing))]
    server = command.start(argv, log_path=Path(os.devnull), env=scrubbed_environment())
    try:
        port = (server.read(_START_TIMEOUT_S) or b"").strip()
        if not port.isdigit():
            raise EnvironmentUnfit(
                "the server of known timing did not start",
                evidence=f"it said {port!r}",
                next_step="Check that this machine lets a process listen on 127.0.0.1.",
            )
        yield f"http://127.0.0.1:{int(port)}"
    finally:
        server.close_input()
        if not server.wait(_STOP_TIMEOUT_S):
            server.kill()


def _bench(url: str, workload: Workload, floors: MeasureClient) -> Measurement:
    return run_bench(
        url,
        "known-timing",
        workload,
        find_dialect("openai"),
        _environment(),
        measure_client=floors,
    )


def _environment() -> Environment:
    return describe_environment(
        target=TARGET,
        runtime=_NOTHING,
        release=_NOTHING,
        model="known-timing",
        configuration_sha256=_NOTHING,
        power_mode=_NOTHING,
        image=_NOTHING,
        weights_sha256=_NOTHING,
    )


def _workload(concurrency: int, requests: int, seed: int) -> Workload:
    return Workload(
        concurrencies=(concurrency,),
        requests_per_concurrency=requests,
        warmup_requests=1,
        input_tokens=32,
        output_tokens=OUTPUT_TOKENS,
        seed=seed,
        timeout_s=20.0,
        total_timeout_s=60.0,
    )


def _said(verdict: Verdict) -> str:
    """Every reason there is; the first is the verdict's own."""
    reasons = (*verdict.invalid_reasons, *(result.reason for result in verdict.results))
    return "; ".join(reasons)
