"""The fingerprint of a run: what was measured, on which machine; figures compare only within it."""

import platform
from pathlib import Path

from trt_nemotron import __version__
from trt_nemotron.cores import usable_cores
from trt_nemotron.measure.bench.values import Environment

UNKNOWN = "unknown"


def describe_environment(
    *,
    target: str = UNKNOWN,
    runtime: str = UNKNOWN,
    release: str = UNKNOWN,
    model: str = UNKNOWN,
    configuration_sha256: str = "",
    power_mode: str = UNKNOWN,
    image: str = UNKNOWN,
    weights_sha256: str = UNKNOWN,
) -> Environment:
    """What the caller knows of the server, and what this machine says of itself.

    For an endpoint of which only the URL is known, the server's side stays `unknown`.
    """
    return Environment(
        target=target,
        runtime=runtime,
        release=release,
        model=model,
        configuration_sha256=configuration_sha256,
        client_version=__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()}",
        processor=_processor_name(),
        cores=usable_cores(),
        power_mode=power_mode,
        image=image,
        weights_sha256=weights_sha256,
    )


def _processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() in {"model name", "Model", "Hardware"}:
            return value.strip()
    return platform.processor() or platform.machine()
