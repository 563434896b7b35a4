"""What is wrong with a configuration, or worth knowing, and what to write instead."""

from typing import Literal

from trt_nemotron.document import Value

Severity = Literal["error", "warning"]


class Finding(Value, frozen=True, kw_only=True):
    """One thing found.

    Attributes:
        severity: `error` when the server would refuse or fail, `warning` otherwise.
        rule: which check found it.
        place: the key (dotted) or the flag.
        line: of the file, from 1; 0 for a flag or an assignment.
        fix: what to write instead, one sentence.
        source: who says so.
    """

    severity: Severity
    rule: str
    place: str
    message: str
    fix: str
    line: int = 0
    source: str = ""
