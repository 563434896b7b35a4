"""What a storage knows of a measurement: its baseline, or why there is none, and its past."""

from dataclasses import dataclass

from trt_nemotron.errors import NoBaseline
from trt_nemotron.measure.baselines.ledger import read_ledger, read_run
from trt_nemotron.measure.baselines.storage import Storage
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.baseline import time_of
from trt_nemotron.measure.gate.key import unknown_fields

MOST_RUNS = 400
"""Newest ones that are read: enough to tell of four bounds how far unchanged runs stray."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What the gate compares a measurement with.

    Attributes:
        why_none: why there is no baseline; names the field that differs.
        history: comparable runs started before the measurement, oldest first.
    """

    baseline: Measurement | None
    why_none: str = "no baseline was handed over"
    history: tuple[Measurement, ...] = ()


def find_kept(storage: Storage, measurement: Measurement) -> Kept:
    """The current baseline of the measurement's key, and the runs of that key before it.

    Raises:
        InvalidInput: a kept file cannot be read, or is not what was recorded.
    """
    ledger = read_ledger(storage)
    begun = time_of(measurement.started_at)
    earlier = [
        kept
        for kept in ledger.history_of(measurement)
        if begun is not None and (then := time_of(kept.started_at)) is not None and then < begun
    ]
    history = tuple(read_run(storage, kept) for kept in earlier[-MOST_RUNS:])
    unknown = unknown_fields(measurement)
    if unknown:
        return Kept(None, f"the run has an unknown {unknown[0]}, so no baseline is comparable")
    try:
        return Kept(read_run(storage, ledger.current_for(measurement)), history=history)
    except NoBaseline as fault:
        return Kept(None, fault.message, history)
