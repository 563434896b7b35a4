"""What a start really showed: kept in the bundle, beside the plan that foretold it.

`observed.json` is no part of what was built: no hash and no listing covers it, every successful
start writes it anew, and a bundle is as whole without it, or with one that cannot be read.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import ClassVar

from trt_nemotron import __version__
from trt_nemotron.deploy.actual_facts import FactGap, compare_facts
from trt_nemotron.deploy.actual_memory import MemoryGap, compare_memory
from trt_nemotron.deploy.bundle.values import OBSERVED_NAME, Manifest
from trt_nemotron.deploy.phase_times import PhaseTime, phase_times
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.protocol import ReportedBuffer, ReportedFact, Runtime
from trt_nemotron.deploy.serving.running import RunningServer
from trt_nemotron.deploy.shape import NemotronHShape
from trt_nemotron.document import Document, read_document, write_document
from trt_nemotron.errors import InvalidInput
from trt_nemotron.progress import SILENT, Progress
from trt_nemotron.redaction import redact


class Observed(Document, frozen=True, kw_only=True):
    """One start, as its log tells it.

    Attributes:
        image: the container image by digest; empty for a process.
        shape: of the network that was served.
        configuration_sha256: of the plan that was started.
        observed_at: when, in UTC, ISO 8601.
        facts, buffers: what the server printed.
        memory, figures: the plan beside it.
        phases: what the start went through, and how long it took where the log has times.
        ready_s: from starting it until it had generated a token; `None` where nobody timed it.
    """

    SCHEMA: ClassVar[str] = "trt-nemotron/observed/1"

    target: str
    runtime: str
    release: str
    image: str
    shape: NemotronHShape
    configuration_sha256: str
    tool_version: str
    observed_at: str
    facts: tuple[ReportedFact, ...] = ()
    buffers: tuple[ReportedBuffer, ...] = ()
    memory: tuple[MemoryGap, ...] = ()
    figures: tuple[FactGap, ...] = ()
    phases: tuple[PhaseTime, ...] = ()
    ready_s: float | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Where the server came out otherwise than planned, one sentence each."""
        return (
            *(
                f"memory: {gap.name} was planned as {gap.planned_bytes:,} bytes, the server took "
                f"{gap.reported_bytes:,}"
                for gap in self.memory
                if gap.is_wrong
            ),
            *(gap.warning for gap in self.figures if gap.warning),
        )


def observe(
    plan: Plan,
    manifest: Manifest,
    log: str,
    runtime: Runtime,
    *,
    phases: Iterable[tuple[str, str]] = (),
    image: str = "",
    ready_s: float | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
) -> Observed:
    """What `log`, the log of a start of `plan`, tells; pure but for the clock.

    Args:
        plan: what was started.
        manifest: of the bundle that was started.
        log: the log from its beginning.
        runtime: who reads it.
        phases: as the start's `Launch` has them.
        image: the image that ran; that of the manifest when empty.
        ready_s: how long it took until it was ready.
        now: the clock.
    """
    buffers = runtime.reported_buffers(log)
    facts = tuple(
        ReportedFact(name=fact.name, value=fact.value, line=redact(fact.line))
        for fact in runtime.reported_facts(log)
    )
    return Observed(
        target=plan.target,
        runtime=plan.runtime,
        release=plan.release,
        image=image or manifest.image,
        shape=plan.checkpoint.shape,
        configuration_sha256=manifest.configuration_sha256,
        tool_version=__version__,
        observed_at=now().isoformat(timespec="seconds"),
        facts=facts,
        buffers=buffers,
        memory=compare_memory(plan.ledger, buffers),
        figures=compare_facts(plan, facts),
        phases=phase_times(log, phases),
        ready_s=ready_s,
    )


def record_start(
    bundle: Path,
    plan: Plan,
    manifest: Manifest,
    log: str,
    runtime: Runtime,
    *,
    phases: Iterable[tuple[str, str]] = (),
    image: str = "",
    ready_s: float | None = None,
    progress: Progress = SILENT,
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
) -> Observed:
    """`observe`, keep it in the bundle, and note what came out otherwise than planned.

    A bundle that cannot be written, such as one on a read-only disk, is no reason to stop a server
    that runs: that it was not kept is noted too.
    """
    observed = observe(
        plan, manifest, log, runtime, phases=phases, image=image, ready_s=ready_s, now=now
    )
    for warning in observed.warnings:
        progress.note(warning)
    try:
        write_document(bundle / OBSERVED_NAME, observed)
    except OSError as fault:
        progress.note(f"what the server showed is not kept: {bundle / OBSERVED_NAME}: {fault}")
    return observed


def record_server(
    server: RunningServer,
    plan: Plan,
    manifest: Manifest,
    runtime: Runtime,
    progress: Progress = SILENT,
) -> Observed:
    """`record_start` of a server that is ready, from its own log and with the image that runs.

    Raises:
        OSError: its log cannot be read.
    """
    endpoint = server.endpoint
    return record_start(
        Path(endpoint.bundle),
        plan,
        manifest,
        Path(endpoint.log).read_text(errors="replace"),
        runtime,
        phases=server.phases,
        image=endpoint.image,
        ready_s=server.ready_s,
        progress=progress,
    )


def read_observed(bundle: Path, progress: Progress = SILENT) -> Observed | None:
    """What the last start showed; nothing where none did, or where it cannot be read any more.

    Damage to it is noted and no more: nothing that is served depends on it.
    """
    path = bundle / OBSERVED_NAME
    if not path.exists():
        return None
    try:
        return read_document(path, Observed)
    except InvalidInput as fault:
        progress.note(f"{OBSERVED_NAME} cannot be read, which harms nothing: {fault.evidence}")
        return None
