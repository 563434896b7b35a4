"""A measurement as a file: compact JSON, compressed where the name ends in `.gz`.

The raw records are the truth; figures are computed from them each time (`bench --replay FILE`).
"""

import gzip
import zlib
from pathlib import Path

import msgspec

from trt_nemotron.document import parse_document, write_atomically
from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.bench.values import Measurement

_GZIP_MARK = b"\x1f\x8b"
_COMPRESSION = 6


def write_measurement(path: Path, measurement: Measurement) -> int:
    """Write it atomically; the same measurement gives the same bytes.

    Returns:
        The size of the file in bytes.
    """
    data = msgspec.json.encode(measurement, order="deterministic") + b"\n"
    if path.suffix == ".gz":
        data = gzip.compress(data, _COMPRESSION, mtime=0)
    write_atomically(path, data)
    return len(data)


def read_measurement(path: Path) -> Measurement:
    """The measurement kept in `path`, compressed or not, whatever its name.

    Raises:
        InvalidInput: no such file, or it is no measurement of a version we read.
    """
    try:
        data = path.read_bytes()
    except OSError as fault:
        raise InvalidInput(
            f"cannot read {path}",
            evidence=fault.strerror or str(fault),
            next_step="Check the path and its permissions.",
        ) from fault
    if data.startswith(_GZIP_MARK):
        data = _decompress(data, path)
    return parse_document(data, Measurement, origin=str(path))


def _decompress(data: bytes, path: Path) -> bytes:
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as fault:
        raise InvalidInput(
            f"{path} is damaged", evidence=str(fault), next_step="Copy it again, or measure again."
        ) from fault
