"""`gate --ab`: two servers on one device, smoke of B, runs in turn, a verdict; all of it kept.

OUT/
  ab.json  runs/               what was decided before, and every run (`measure/gate/ab_record.py`)
  smoke.json                   B's answers
  server-a.log  server-b.log
  verdict.json  verdict.md  verdict.junit.xml  report.html
  .lock                        held while a gate writes here
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from trt_nemotron import __version__
from trt_nemotron.document import write_atomically, write_document
from trt_nemotron.measure.bench.kept_floors import KeptFloors
from trt_nemotron.measure.bench.values import Measurement, Workload
from trt_nemotron.measure.gate.ab import AbRun, run_ab, run_ab_by_requests
from trt_nemotron.measure.gate.ab_judge import require_relative
from trt_nemotron.measure.gate.ab_pair import Arm
from trt_nemotron.measure.gate.ab_record import (
    AbPlan,
    Turns,
    begin_record,
    keep_round,
    keep_run,
    now,
)
from trt_nemotron.measure.gate.budget import Budget
from trt_nemotron.measure.gate.design import Design, make_design
from trt_nemotron.measure.gate.values import Verdict
from trt_nemotron.measure.report.contents import ReportContents, notice_for
from trt_nemotron.measure.report.html import render_report
from trt_nemotron.measure.report.junit import render_junit
from trt_nemotron.measure.report.markdown import render_markdown
from trt_nemotron.measure.smoke.registry import select_checks
from trt_nemotron.measure.smoke.runner import run_smoke
from trt_nemotron.measure.smoke.suite import load_suite, suite_name_for
from trt_nemotron.measure.smoke.values import SmokeReport
from trt_nemotron.openai.client import Client
from trt_nemotron.pipeline.ab_order import AbOrder
from trt_nemotron.pipeline.ab_servers import (
    InTurn,
    Subjects,
    bundle_subjects,
    numbered,
    url_subjects,
)
from trt_nemotron.pipeline.ab_verdict import smoke_failure, with_smoke
from trt_nemotron.pipeline.answering import NEWS_S
from trt_nemotron.pipeline.folder import sole_user_of
from trt_nemotron.progress import Progress

_RESULTS = (
    "ab.json", "smoke.json", "server-a.log", "server-b.log",
    "verdict.json", "verdict.md", "verdict.junit.xml", "report.html",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AbResult:
    """What an A/B gate found; no run where B's smoke failed."""

    verdict: Verdict
    smoke: SmokeReport | None
    run: AbRun | None
    notice: str = ""


@dataclass(frozen=True, slots=True)
class _Task:
    """What is the same for bundles and for URLs."""

    plan: AbPlan
    design: Design
    workload: Workload
    suite: str
    out: Path
    progress: Progress


def run_ab_gate(order: AbOrder, progress: Progress) -> AbResult:
    """Compare two bundles.

    However it ends, by Ctrl-C or an error too, no server is left; runs that were measured stay.

    Raises:
        InvalidInput: the budget has no relative bound, or the cap allows no failure.
        TrtNemotronError: a server did not start, died, or gave nothing that can be measured.
    """
    task = _task(
        order.budget,
        order.workload,
        a=str(order.a.folder),
        b=str(order.b.folder),
        seed=order.seed,
        most_pairs=order.most_pairs,
        serving=order.serving,
        turns=order.turns,
        cores=order.cores,
        suite=order.suite,
        out=order.out,
        progress=progress,
    )
    return _compare(task, bundle_subjects(order, progress))


def run_ab_urls(
    urls: tuple[str, str],
    budget: Budget,
    workload: Workload,
    *,
    seed: int,
    most_pairs: int,
    out: Path,
    progress: Progress,
    turns: Turns = "runs",
    model: str = "",
    api_key: str = "",
    suite: str = "",
) -> AbResult:
    """Compare two servers that are up already; the first is A.

    Raises:
        InvalidInput: as `run_ab_gate`.
        EndpointUnfit: one does not answer.
    """
    task = _task(
        budget,
        workload,
        a=urls[0],
        b=urls[1],
        seed=seed,
        most_pairs=most_pairs,
        serving="urls",
        turns=turns,
        suite=suite,
        out=out,
        progress=progress,
    )
    return _compare(task, url_subjects(urls, model, api_key, budget.target))


def _task(
    budget: Budget,
    workload: Workload,
    *,
    a: str,
    b: str,
    seed: int,
    most_pairs: int,
    serving: str,
    turns: Turns,
    cores: tuple[int, ...] = (),
    suite: str,
    out: Path,
    progress: Progress,
) -> _Task:
    require_relative(budget)
    return _Task(
        plan=AbPlan(
            a=a,
            b=b,
            budget=budget,
            seed=seed,
            most_pairs=most_pairs,
            serving=serving,
            started_at=now(),
            turns=turns,
            cores=cores,
        ),
        design=make_design(max(1, len(budget.relative)), most_pairs=most_pairs),
        workload=workload,
        suite=suite,
        out=out,
        progress=progress,
    )


def _compare(task: _Task, servers: AbstractContextManager[Subjects]) -> AbResult:
    with sole_user_of(task.out):
        for name in _RESULTS:
            (task.out / name).unlink(missing_ok=True)
        begin_record(task.out, task.plan)
        with servers as subjects:
            result = _measure(task, subjects)
        _write(task.out, result)
        return result


def _measure(task: _Task, subjects: Subjects) -> AbResult:
    task.progress.phase("asking B the smoke questions")
    with subjects.at("b") as subject:
        smoke = _smoke(subject.client, subject.model, task.suite)
        notice = notice_for(subject.environment)
        failure = smoke_failure(task.plan.budget, smoke)
        if failure is not None and subject.server is not None:
            subject.server.check(NEWS_S)  # its death says more than the checks it did not answer
    write_document(task.out / "smoke.json", smoke)
    if failure is not None:
        return AbResult(failure, smoke, None, notice)

    run = _run_requests(task, subjects) if task.plan.turns == "requests" else _run(task, subjects)
    return AbResult(with_smoke(run.verdict, smoke, task.plan), smoke, run, notice)


def _run(task: _Task, subjects: Subjects) -> AbRun:
    """Runs in turn."""
    floors = KeptFloors()

    def measure(arm: Arm, number: int) -> Measurement:
        with subjects.at(arm) as subject:
            run = subject.bench(numbered(task.workload, number), floors)
        keep_run(task.out, arm, number, run)
        return run

    plan = task.plan
    return run_ab(plan.budget, task.design, measure, seed=plan.seed, progress=task.progress)


def _run_requests(task: _Task, subjects: Subjects) -> AbRun:
    """Single requests in turn."""
    plan = task.plan
    with subjects.at("a") as a, subjects.at("b") as b:
        task.progress.phase("rehearsing with both servers")
        in_turn = InTurn((a, b), task.workload, KeptFloors())

        def measure(number: int, order: tuple[Arm, ...]) -> tuple[Measurement, Measurement]:
            runs = in_turn.measure(order)
            keep_round(task.out, number, runs)
            return runs

        return run_ab_by_requests(
            plan.budget, task.design, measure, seed=plan.seed, progress=task.progress
        )


def _smoke(client: Client, model: str, suite: str) -> SmokeReport:
    return run_smoke(client, load_suite(suite or suite_name_for(model)), select_checks(()))


def _write(out: Path, result: AbResult) -> None:
    verdict, notice = result.verdict, result.notice
    write_document(out / "verdict.json", verdict)
    write_atomically(out / "verdict.junit.xml", render_junit(verdict))
    write_atomically(out / "verdict.md", render_markdown(verdict, notice).encode())
    contents = ReportContents(
        tool_version=__version__, verdict=verdict, smoke=result.smoke, notice=notice
    )
    write_atomically(out / "report.html", render_report(contents).encode())
