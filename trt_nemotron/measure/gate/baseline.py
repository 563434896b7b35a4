"""Whether an earlier run may serve as the baseline of this one; any doubt is a no with a reason."""

import datetime as dt
from collections.abc import Iterator

import msgspec

from trt_nemotron.document import sha256_of
from trt_nemotron.measure.bench.figures.summarise import summarise
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.budget import Budget
from trt_nemotron.measure.gate.key import key_differences, key_of, unknown_fields
from trt_nemotron.measure.gate.machine_rule import machine_faults
from trt_nemotron.measure.gate.validity import fitness_faults, record_faults


def mismatch(measurement: Measurement, baseline: Measurement, budget: Budget) -> str:
    """Why `baseline` cannot be compared with `measurement`; empty when it can.

    Environment, workload, clock and dialect must agree: a figure is comparable only within them.
    """
    differences = list(_differences(measurement, baseline))
    if differences:
        return f"the baseline was measured with {' and '.join(differences)}"
    faults = record_faults(baseline) or (
        *fitness_faults(baseline, budget),
        *machine_faults(baseline, budget.machine),
        *summarise(baseline, budget.slo).invalid_reasons,
    )
    return f"the baseline is not a valid run: {faults[0]}" if faults else ""


def swap_faults(measurement: Measurement, baseline: Measurement) -> Iterator[str]:
    """Signs that the two files were confused, which would turn a slowdown into a gain."""
    if sha256_of(measurement) == sha256_of(baseline):
        yield "the baseline is the measurement itself"
        return
    measured, kept = (time_of(run.started_at) for run in (measurement, baseline))
    if measured is None or kept is None:
        yield "a run does not say when it was started, so which is the baseline cannot be checked"
    elif kept > measured:
        yield "the baseline was started after the measurement: the files are swapped"


def _differences(measurement: Measurement, baseline: Measurement) -> Iterator[str]:
    for name in unknown_fields(measurement):
        yield f"an unknown {name}, which may have been another"
    yield from key_differences(key_of(measurement), key_of(baseline))


def time_of(text: str) -> dt.datetime | None:
    """The time as UTC; one without a zone is taken as UTC, which is what the client writes."""
    try:
        time = msgspec.convert(text, dt.datetime)
    except msgspec.ValidationError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=dt.timezone.utc)
