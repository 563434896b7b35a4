"""What the doctor finds, as values: findings, and the report of them all."""

from typing import ClassVar, Literal

from trt_nemotron.document import Document, Value

Status = Literal["ok", "warn", "fail", "unknown", "skip"]
"""`unknown`: could not be told, which is no pass; `skip`: does not apply to this target."""

Group = Literal["board", "containers", "memory", "power", "system", "environment", "clock", "facts"]

STATUSES: tuple[Status, ...] = ("ok", "warn", "fail", "unknown", "skip")


class Finding(Value, frozen=True, kw_only=True):
    """What one check found.

    Attributes:
        id: the name of the check, followed by `:` and a detail where one check finds several.
        title: what is true of a machine that passes.
        evidence: what was seen, one or more short sentences.
        remedy: what to do now; empty when all is well.
        source: who says that it matters: a document, an issue, or `our choice`.
    """

    id: str
    group: Group
    title: str
    status: Status
    evidence: str
    remedy: str = ""
    source: str = ""


class DoctorReport(Document, frozen=True, kw_only=True):
    """All findings for one machine and target.

    Attributes:
        target: the one examined for.
        detected: the one that the machine looks like; empty when it cannot be told.
        detection: by what it was told.
        runtime, release: those examined for; the release is empty where none is known.
        findings: in the order of the registry.
    """

    SCHEMA: ClassVar[str] = "trt-nemotron/doctor-report/1"

    target: str
    detected: str
    detection: str
    runtime: str
    release: str
    findings: tuple[Finding, ...]

    def having(self, *statuses: Status) -> tuple[Finding, ...]:
        """The findings with one of these statuses."""
        return tuple(finding for finding in self.findings if finding.status in statuses)
