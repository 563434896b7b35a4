"""Keeping what `trt-nemotron bench` has measured."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from trt_nemotron.errors import EnvironmentUnfit

if TYPE_CHECKING:
    from trt_nemotron.measure.bench.values import Measurement


def keep_measurement(measurement: "Measurement", path: Path) -> None:
    """Write it and say so.

    Raises:
        EnvironmentUnfit: it cannot be written there, and is kept among the temporary files.
        OSError: nor there.
    """
    from trt_nemotron.measure.bench.replay import write_measurement

    try:
        size = write_measurement(path, measurement)
    except OSError as fault:
        raise _kept_elsewhere(measurement, path, fault) from fault
    click.echo(f"kept in {path} ({size:,} bytes)", err=True)


def _kept_elsewhere(measurement: "Measurement", path: Path, fault: OSError) -> EnvironmentUnfit:
    """What was measured for an hour is not lost because a disk has filled up meanwhile.

    Raises:
        OSError: there is no room for temporary files either.
    """
    import tempfile

    from trt_nemotron.measure.bench.replay import write_measurement

    spare = Path(tempfile.mkdtemp(prefix="trt-nemotron-")) / path.name
    write_measurement(spare, measurement)
    return EnvironmentUnfit(
        f"the measurement cannot be kept in {path}: {fault.strerror or fault}",
        evidence=f"it is kept in {spare} instead",
        next_step=f"Move it to where there is room; trt-nemotron bench --replay {spare} shows it.",
    )
