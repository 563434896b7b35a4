"""One measurement for `bench`: who the server is, what is measured by, and the run itself."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trt_nemotron.cli.console import drawn_progress

if TYPE_CHECKING:
    from trt_nemotron.cli.bench_options import Wish
    from trt_nemotron.cli.endpoint_options import Subject
    from trt_nemotron.measure.bench.clock_choice import ClockWish
    from trt_nemotron.measure.bench.figures.summary import Slo
    from trt_nemotron.measure.bench.ramp import RampChooser
    from trt_nemotron.measure.bench.search import Ramp
    from trt_nemotron.measure.bench.values import Environment, Measurement
    from trt_nemotron.measure.bench.workers.senders import Senders
    from trt_nemotron.openai.dialect import Dialect
    from trt_nemotron.progress import Progress


def measure(
    subject: "Subject",
    wish: "Wish",
    slo: "Slo | None",
    *,
    dialect_name: str,
    api_key: str,
    clock_wish: "ClockWish",
    measures_energy: bool,
    senders: "Senders",
    as_json: bool,
) -> "tuple[Measurement, Ramp | None]":
    """Measure a server, with progress drawn; and what a ramp came to, where one was wished.

    Raises:
        InvalidInput, EndpointUnfit, NoValidMeasurement, EnvironmentUnfit: as `run_bench`.
    """
    import msgspec

    from trt_nemotron.measure.bench.discovery import discover_model
    from trt_nemotron.measure.bench.runner import run_bench

    with _modules_kept(), drawn_progress(is_quiet=as_json) as progress:
        progress.phase("asking the server who it is")
        dialect = _choose_dialect(dialect_name, subject.url, api_key)
        model = subject.model or discover_model(subject.url, api_key=api_key)
        environment = _environment_of(subject, model)
        chooser = _ramp_chooser(wish, slo, progress) if wish.is_ramp else None
        measurement = run_bench(
            subject.url,
            model,
            wish.workload,
            dialect,
            environment,
            progress=progress,
            api_key=api_key,
            profile=wish.profile,
            clock_wish=clock_wish,
            trace_s=wish.trace_s,
            choose_next=chooser,
            measures_energy=measures_energy,
            senders=senders,
        )
    if chooser is None or chooser.ramp is None:
        return measurement, None
    from trt_nemotron.measure.bench.ramp import ramp_note

    found = (*measurement.notes, ramp_note(chooser.ramp), *chooser.ramp.notes)
    return msgspec.structs.replace(measurement, notes=found), chooser.ramp


def _environment_of(subject: "Subject", model: str) -> "Environment":
    """The fingerprint, as far as it is known of the server."""
    from trt_nemotron.measure.bench.environment import UNKNOWN, describe_environment

    if subject.manifest is not None:
        from trt_nemotron.pipeline.handover import bundle_environment

        return bundle_environment(subject.manifest)
    return describe_environment(model=model or UNKNOWN)


@contextmanager
def _modules_kept() -> Iterator[None]:
    """What has been imported is here to stay: no collection of garbage looks through it."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _ramp_chooser(wish: "Wish", slo: "Slo | None", progress: "Progress") -> "RampChooser":
    from trt_nemotron.measure.bench.ramp import RampChooser, order_of

    return RampChooser(order_of(wish.workload), slo, progress)


def _choose_dialect(name: str, url: str, api_key: str) -> "Dialect":
    from trt_nemotron.measure.bench.discovery import discover_dialect
    from trt_nemotron.openai.dialect import find_dialect

    return discover_dialect(url, api_key=api_key) if name == "auto" else find_dialect(name)
