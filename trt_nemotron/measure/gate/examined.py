"""A run that was looked at before any bound: its figures, its faults, and one figure of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from trt_nemotron.errors import NoValidMeasurement
from trt_nemotron.measure.bench.figures.summarise import summarise
from trt_nemotron.measure.bench.figures.summary import LegSummary, Summary
from trt_nemotron.measure.bench.values import Measurement, RequestRecord
from trt_nemotron.measure.gate.baseline import swap_faults
from trt_nemotron.measure.gate.budget import Budget
from trt_nemotron.measure.gate.machine_rule import machine_faults
from trt_nemotron.measure.gate.metrics import Metric
from trt_nemotron.measure.gate.place import Place, leg_fault, legs_at
from trt_nemotron.measure.gate.result import Finding
from trt_nemotron.measure.gate.validity import (
    fitness_faults,
    measured_records,
    physics_faults,
    record_faults,
    sample_fault,
)
from trt_nemotron.measure.gate.values import PhysicalLimit


@dataclass(frozen=True, slots=True)
class Run:
    """A measurement with what follows from it.

    Attributes:
        summary: nothing when the records contradict themselves.
        faults: why the run may not be judged.
        lateness: why the client's own lateness shows in the figures; bounds are then judged by what
            the server can have done at worst, and can be kept, but not missed.
    """

    measurement: Measurement
    summary: Summary | None
    faults: tuple[str, ...]
    lateness: tuple[str, ...] = ()

    def figures_at(self, place: Place) -> LegSummary | None:
        """The figures of the one leg that `place` names; nothing where it names none."""
        legs = legs_at(place, self.measurement)
        if self.summary is None or leg_fault(place, legs):
            return None
        return self.summary.at_leg(legs[0])

    def records_at(self, place: Place) -> list[RequestRecord]:
        """The measured requests of that leg, good and bad, in the order of their sending."""
        legs = legs_at(place, self.measurement)
        here = [record for record in measured_records(self.measurement) if record.leg in legs]
        return sorted(here, key=lambda record: record.sent_ns)


def examine(
    budget: Budget,
    measurement: Measurement,
    baseline: Measurement | None,
    limits: Sequence[PhysicalLimit],
) -> Run:
    """Everything that makes a run invalid, before any bound of `budget` is asked."""
    broken = record_faults(measurement)
    if broken:
        return Run(measurement, None, broken)
    summary = summarise(measurement, budget.slo)
    swapped = () if baseline is None else swap_faults(measurement, baseline)
    faults = (
        *(machine_faults(measurement, budget.machine) if budget.judges_figures else ()),
        *fitness_faults(measurement, budget),
        *(reason for reason in summary.invalid_reasons if reason not in summary.lateness_reasons),
        *physics_faults(summary, limits),
        *swapped,
    )
    return Run(measurement, summary, tuple(dict.fromkeys(faults)), summary.lateness_reasons)


def find(
    metric: Metric, place: Place, budget: Budget, run: Run, *, at_worst: bool = False
) -> Finding:
    """The figure, and why it must not be judged; a doubtful figure is shown all the same."""
    doubt = next(iter(run.faults), "")
    doubt = doubt or sample_fault(run.measurement, place, budget.minimum_samples)
    figures = run.figures_at(place)
    if figures is None:
        return Finding(None, doubt)
    try:
        return Finding(metric.interval(figures.at_worst() if at_worst else figures), doubt)
    except NoValidMeasurement as fault:
        return Finding(None, doubt or fault.message)
