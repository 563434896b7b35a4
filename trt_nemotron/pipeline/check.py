"""`check`: plan, build, serve, smoke, bench, gate and report, each for real, one after another.

Every stage's value is written into one folder as soon as it is there:

    OUT/
      check.json        this run: stages, outcome, exit code
      bundle/           what was built, and is served
      server.log        what the server said
      smoke.json  measurement.json.gz  verdict.json  verdict.md  verdict.junit.xml
      report.html       all of it, to look at
      .lock             held while a check writes here
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone

from trt_nemotron import __version__
from trt_nemotron.deploy.actual_memory import in_words
from trt_nemotron.deploy.bundle.reader import verify_bundle
from trt_nemotron.deploy.bundle.values import Manifest
from trt_nemotron.deploy.bundle.writer import build_bundle
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.observed import Observed, record_server
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.planning import make_plan
from trt_nemotron.deploy.runtimes.catalogue import get_runtime
from trt_nemotron.deploy.runtimes.protocol import Place
from trt_nemotron.deploy.serving.placing import choose_place
from trt_nemotron.deploy.serving.running import RunningServer
from trt_nemotron.deploy.serving.server import start_server
from trt_nemotron.document import write_atomically, write_document
from trt_nemotron.errors import (
    CheckFailed,
    EnvironmentUnfit,
    Interrupted,
    TrtNemotronError,
)
from trt_nemotron.measure.bench.replay import write_measurement
from trt_nemotron.measure.bench.runner import run_bench
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.judge import judge
from trt_nemotron.measure.gate.outcome import exit_code, headline
from trt_nemotron.measure.gate.smoke_rule import judge_smoke
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
from trt_nemotron.pipeline.answering import NEWS_S, api_key_of, server_answers_for
from trt_nemotron.pipeline.folder import BUNDLE, clear_results, endpoint_name, sole_user_of
from trt_nemotron.pipeline.handover import (
    bundle_environment,
    physical_limits,
    plan_facts,
    start_figures,
)
from trt_nemotron.pipeline.order import CheckOrder, CheckResult
from trt_nemotron.pipeline.record import Audience, CheckRecord
from trt_nemotron.pipeline.stages import Stages


def run_check(
    order: CheckOrder, audience: Audience, *, clock: Callable[[], float] = time.monotonic
) -> CheckResult:
    """Run every stage of `order`.

    A server that answers wrongly is not measured: its figures would mean nothing. Whatever happens,
    the server is stopped at the end and `check.json` says how far the check came.

    Raises:
        TrtNemotronError: of a stage that could not do its work; the record is written before.
    """
    with sole_user_of(order.out):
        clear_results(order.out)
        return _Check(order, Stages(audience, clock)).run()


class _Check:
    def __init__(self, order: CheckOrder, stages: Stages) -> None:
        self._order = order
        self._stages = stages
        self._audience = stages.audience
        self._out = order.out
        self._observed: Observed | None = None
        self._started_at = datetime.now(timezone.utc).isoformat(timespec="seconds")

    def run(self) -> CheckResult:
        runtime, model = self._order.runtime or "", ""
        try:
            plan, checkpoint = self._plan()
            runtime, model = plan.runtime, plan.served_model_name
            manifest = self._build(plan, checkpoint)
            with self._serving(manifest, plan) as server:
                smoke = self._smoke(server, manifest)
                measurement = self._bench(server, manifest) if self._is_right(smoke) else None
            verdict = self._gate(plan, measurement, smoke)
            self._report(plan, smoke, measurement, verdict)
        except BaseException as fault:
            self._record(runtime, model, _exit_code_of(fault))
            raise
        code = CheckFailed.exit_code if verdict is None else exit_code(verdict.decision)
        record = self._record(runtime, model, code, verdict)
        return CheckResult(record=record, smoke=smoke, measurement=measurement, verdict=verdict)

    def _plan(self) -> tuple[Plan, Checkpoint]:
        order = self._order
        with self._stages.stage("plan") as notes:
            plan, checkpoint = make_plan(
                order.target, order.runtime, order.checkpoint, order.wishes, order.machine
            )
            needed, total = plan.ledger.needed_bytes, plan.ledger.memory_total_bytes
            notes.say(
                f"{plan.checkpoint.name} as {plan.precision} on {plan.runtime} {plan.release}: "
                f"{needed / 2**20:,.0f} of {total / 2**20:,.0f} MiB"
            )
        return plan, checkpoint

    def _build(self, plan: Plan, checkpoint: Checkpoint) -> Manifest:
        folder = self._out / BUNDLE
        with self._stages.stage("build") as notes:
            runtime = get_runtime(plan.runtime)
            manifest = build_bundle(
                folder, plan, checkpoint, runtime, self._audience, force=folder.exists()
            )
            verify_bundle(folder, self._audience)
            size = sum(file.size_bytes for file in manifest.files)
            notes.say(f"{len(manifest.files)} files, {size / 2**20:,.1f} MiB, verified", BUNDLE)
        return manifest

    @contextmanager
    def _serving(self, manifest: Manifest, plan: Plan) -> Iterator[RunningServer]:
        """The bundle's server; the stage ends when it is ready, the server with the block."""
        with ExitStack() as held:
            with self._stages.stage("serve") as notes:
                runtime = get_runtime(plan.runtime)
                place = choose_place(runtime, plan, manifest, self._order.place)
                server = held.enter_context(self._start(manifest, plan, place))
                observed = record_server(server, plan, manifest, runtime, self._audience)
                self._observed = observed
                findings = (f"ready at {server.endpoint.url}", in_words(observed.memory))
                notes.say("; ".join(filter(None, findings)), "server.log")
            yield server

    def _start(self, manifest: Manifest, plan: Plan, place: Place) -> RunningServer:
        return start_server(
            self._out / BUNDLE,
            manifest,
            plan,
            get_runtime(plan.runtime),
            place=place,
            pull=self._order.place.pull,
            name=endpoint_name(manifest.target, self._out),
            progress=self._audience,
            timeout_s=self._order.server_timeout_s,
            log=self._out / "server.log",
        )

    def _client(self, server: RunningServer, manifest: Manifest) -> Client:
        return Client(
            server.endpoint.url,
            model=manifest.served_model_name,
            api_key=api_key_of(server) or None,
        )

    def _smoke(self, server: RunningServer, manifest: Manifest) -> SmokeReport:
        with self._stages.stage("smoke") as notes, server_answers_for(server):
            client = self._client(server, manifest)
            client = client.having(dialect=client.detect_dialect())
            model = manifest.served_model_name
            report = run_smoke(
                client,
                load_suite(self._order.suite or suite_name_for(model)),
                select_checks(()),
                listener=self._audience.smoke_result,
            )
            write_document(self._out / "smoke.json", report)
            counts = [
                f"{count} {word}"
                for status, word in (("pass", "passed"), ("fail", "failed"), ("skip", "skipped"))
                if (count := sum(result.status == status for result in report.results))
            ]
            notes.say(", ".join(counts), "smoke.json")
            if not self._is_right(report):
                server.check(NEWS_S)  # its death says more than the checks it could not answer
                notes.is_failed = True
        return report

    def _is_right(self, smoke: SmokeReport) -> bool:
        """Whether the answers are as right as the budget asks."""
        return judge_smoke(smoke, self._order.budget.smoke).decision == "pass"

    def _bench(self, server: RunningServer, manifest: Manifest) -> Measurement:
        with self._stages.stage("bench") as notes, server_answers_for(server):
            client = self._client(server, manifest)
            measurement = run_bench(
                server.endpoint.url,
                manifest.served_model_name,
                self._order.workload,
                client.detect_dialect(),
                bundle_environment(manifest),
                progress=self._audience,
                profile=self._order.profile,
                api_key=api_key_of(server),
            )
            write_measurement(self._out / "measurement.json.gz", measurement)
            measured = sum(not record.is_warmup for record in measurement.records)
            notes.say(f"{measured} requests measured", "measurement.json.gz")
        return measurement

    def _gate(
        self, plan: Plan, measurement: Measurement | None, smoke: SmokeReport
    ) -> Verdict | None:
        if measurement is None:
            reason = "smoke failed: figures of wrong answers mean nothing"
            self._stages.skip("bench", reason)
            self._stages.skip("gate", reason)
            return None
        with self._stages.stage("gate") as notes:
            verdict = judge(
                self._order.budget,
                measurement,
                smoke=smoke,
                limits=physical_limits(plan, measurement.workload),
                start=None if self._observed is None else start_figures(self._observed),
            )
            notice = notice_for(measurement.environment)
            write_document(self._out / "verdict.json", verdict)
            write_atomically(self._out / "verdict.junit.xml", render_junit(verdict))
            write_atomically(self._out / "verdict.md", render_markdown(verdict, notice).encode())
            notes.say(headline(verdict), "verdict.json", "verdict.junit.xml", "verdict.md")
            notes.is_failed = verdict.decision != "pass"
        return verdict

    def _report(
        self,
        plan: Plan,
        smoke: SmokeReport,
        measurement: Measurement | None,
        verdict: Verdict | None,
    ) -> None:
        with self._stages.stage("report") as notes:
            contents = ReportContents(
                tool_version=__version__,
                measurement=measurement,
                verdict=verdict,
                smoke=smoke,
                plan=plan_facts(plan),
                notice="" if measurement is None else notice_for(measurement.environment),
            )
            write_atomically(self._out / "report.html", render_report(contents).encode())
            notes.say(str(self._out / "report.html"), "report.html")

    def _record(
        self, runtime: str, model: str, code: int, verdict: Verdict | None = None
    ) -> CheckRecord:
        record = CheckRecord(
            target=self._order.target,
            runtime=runtime,
            model=model,
            started_at=self._started_at,
            decision="fail" if verdict is None else verdict.decision,
            exit_code=code,
            stages=self._stages.all(),
            folder=str(self._out),
            memory=() if self._observed is None else self._observed.memory,
        )
        write_document(self._out / "check.json", record)
        return record


def _exit_code_of(fault: BaseException) -> int:
    """The code with which the command line will end for this fault."""
    if isinstance(fault, TrtNemotronError):
        return fault.exit_code
    if isinstance(fault, KeyboardInterrupt):
        return 128 + (fault.signal_number if isinstance(fault, Interrupted) else signal.SIGINT)
    return EnvironmentUnfit.exit_code if isinstance(fault, OSError) else 1
