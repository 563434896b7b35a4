"""A baseline and what happened to it, as values. Nothing is ever changed or removed, only added."""

from typing import ClassVar, Literal

from trt_nemotron.document import Document

Action = Literal["record", "promote", "expire"]
BaselineStatus = Literal["recorded", "current", "superseded", "expired"]
KeyValue = str | int | float | bool | None


class Baseline(Document, frozen=True, kw_only=True):
    """One recorded run, without its raw records, which lie beside it.

    The same run gives the same value, so recording it again after a crash finds its own file.

    Attributes:
        id: names it in commands and in the changelog.
        key_sha256: of `key`; runs of one key may be compared.
        key: every field that must agree: environment, work, clock and way of asking.
        run_sha256: of the measurement, as `document.sha256_of` has it.
        figures: medians by `metric@concurrency`, in the metric's unit; for people to read. The gate
            computes its own from the raw records.
    """

    SCHEMA: ClassVar[str] = "trt-nemotron/baseline/1"

    id: str
    key_sha256: str
    key: dict[str, KeyValue]
    started_at: str
    run_sha256: str
    figures: dict[str, float]


class BaselineEvent(Document, frozen=True, kw_only=True):
    """Something that was done to a baseline.

    Attributes:
        at: UTC, ISO 8601 with microseconds; events are read in this order.
        reason: why, in a sentence; required to promote and to expire.
    """

    SCHEMA: ClassVar[str] = "trt-nemotron/baseline-event/1"

    at: str
    action: Action
    baseline: str
    reason: str = ""
