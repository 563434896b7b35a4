"""What llama.cpp's server says while it starts: phases, sizes of buffers."""

import re

from trt_nemotron.deploy.runtimes.protocol import BufferName, ReportedBuffer

READY_PATTERN = r"listening on (?P<url>http://127\.0\.0\.1:\d+)(?=\s|$)"
"""The wheel's own line or the launcher's. Two threads write the log, so a line of the wheel's may
go on with another's first digits (`...:358810.00.024`): then the launcher's is waited for."""

PHASES: tuple[tuple[str, str], ...] = (
    (r"load_model: loading model", "loading weights"),
    (r"llama_kv_cache: size", "allocating the cache"),
    (r"warming up the model", "warming up"),
    (r"model loaded", "starting to listen"),
)
"""In the order in which the log shows them, at verbosity 4."""

_SIZE = r"\s*(?P<size>\d+(?:\.\d+)?) (?P<unit>[KMG]iB)"
_BYTES = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}

_BUFFERS: tuple[tuple[BufferName, "re.Pattern[str]"], ...] = (
    ("weights", re.compile(rf"load_tensors: +\S+ model buffer size ={_SIZE}")),
    ("kv_cache", re.compile(rf"llama_kv_cache: size ={_SIZE}")),
    ("conv_state", re.compile(rf"llama_memory_recurrent: size =.* R \(\w+\):{_SIZE}")),
    ("ssm_state", re.compile(rf"llama_memory_recurrent: size =.* S \(\w+\):{_SIZE}")),
    ("compute", re.compile(rf"\S+: +\S+ compute buffer size ={_SIZE}")),
    ("output", re.compile(rf"llama_context: +\S+ +output buffer size ={_SIZE}")),
)
_LOAD_BEGINS = "llama_model_loader: loaded meta data"


def reported_buffers(log: str) -> tuple[ReportedBuffer, ...]:
    """Buffers of the last load in the log, in bytes; a buffer on several devices is summed.

    llama.cpp calls the convolution's state R and the SSM's state S. It prints two decimals of a
    MiB, so each line is known to half of the last one.
    """
    last_load = log[max(log.rfind(_LOAD_BEGINS), 0) :]
    return tuple(
        ReportedBuffer(
            name=name,
            size_bytes=round(sum(size for size, _ in sizes)),
            resolution_bytes=round(sum(half_digit for _, half_digit in sizes)),
        )
        for name, pattern in _BUFFERS
        if (sizes := [_read_size(match) for match in pattern.finditer(last_load)])
    )


def _read_size(match: "re.Match[str]") -> tuple[float, float]:
    """(bytes, bytes by which rounding may have changed them)."""
    decimals = len(match["size"].partition(".")[2])
    unit = _BYTES[match["unit"]]
    return float(match["size"]) * unit, 0.5 * 10.0**-decimals * unit
