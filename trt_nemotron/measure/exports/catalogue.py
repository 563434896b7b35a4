"""Every format by name: what it is, which wishes it knows, and what must be told of it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.bench.figures.summary import SAMPLES_NEEDED
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.exports.aiperf import aiperf_records, aiperf_summary
from trt_nemotron.measure.exports.csv_text import render_csv
from trt_nemotron.measure.exports.parquet import render_parquet
from trt_nemotron.measure.exports.rows import Table, chunk_table, request_table
from trt_nemotron.measure.exports.streams import choose_leg, streams_of
from trt_nemotron.measure.exports.vllm import vllm_result


@dataclass(frozen=True, slots=True)
class Wish:
    """What an export shall hold.

    Attributes:
        leg: title of the one leg; empty for all, or for the only one.
        is_per_chunk: a row for each token chunk instead of each request; tables only.
        is_detailed: with the lists of every request; `vllm` only.
        is_complete: with percentiles from however few samples, as the other tool has them.
    """

    leg: str = ""
    is_per_chunk: bool = False
    is_detailed: bool = False
    is_complete: bool = False


@dataclass(frozen=True, slots=True)
class Format:
    """A format.

    Attributes:
        takes: which parts of a wish it knows, by name.
        has_statistics: whether it holds percentiles, which may be too few samples' worth.
    """

    name: str
    title: str
    takes: frozenset[str]
    render: Callable[[Measurement, Wish], bytes]
    has_statistics: bool = False


@dataclass(frozen=True, slots=True)
class Export:
    """A file to be written, and what its reader should know."""

    data: bytes
    notes: tuple[str, ...]


def render_export(measurement: Measurement, name: str, wish: Wish) -> Export:
    """The measurement in the format called `name`.

    Raises:
        InvalidInput: no such format or leg, or a wish the format does not know.
        EnvironmentUnfit: a package that the format needs is missing.
    """
    if name not in FORMATS:
        raise InvalidInput(f"no format is called {name!r}", evidence=f"known: {', '.join(FORMATS)}")
    chosen = FORMATS[name]
    for field in ("leg", "is_per_chunk", "is_detailed", "is_complete"):
        if getattr(wish, field) and field not in chosen.takes:
            raise InvalidInput(
                f"{_OPTIONS[field]} is not for --format {name}", next_step="Leave it out."
            )
    return Export(chosen.render(measurement, wish), _notes(measurement, chosen, wish))


def _notes(measurement: Measurement, chosen: Format, wish: Wish) -> tuple[str, ...]:
    if not chosen.has_statistics:
        return ()
    leg = choose_leg(measurement, wish.leg)
    good = sum(stream.is_good for stream in streams_of(measurement, leg))
    few = [name for name, needed in SAMPLES_NEEDED.items() if good < needed]
    if not few:
        return ()
    if wish.is_complete:
        return (f"{', '.join(few)} of {good} requests are guesses; they stand there all the same",)
    return (f"{', '.join(few)} of {good} requests are left out (--all-percentiles writes them)",)


def _table_of(measurement: Measurement, wish: Wish) -> Table:
    return chunk_table(measurement) if wish.is_per_chunk else request_table(measurement)


def _csv(measurement: Measurement, wish: Wish) -> bytes:
    return render_csv(_table_of(measurement, wish))


def _parquet(measurement: Measurement, wish: Wish) -> bytes:
    about = {
        "trt_nemotron.version": measurement.environment.client_version,
        "trt_nemotron.started_at": measurement.started_at,
        "trt_nemotron.clock": measurement.client.clock,
        "trt_nemotron.model": measurement.environment.model,
        "trt_nemotron.target": measurement.environment.target,
    }
    return render_parquet(_table_of(measurement, wish), about)


def _vllm(measurement: Measurement, wish: Wish) -> bytes:
    leg = choose_leg(measurement, wish.leg)
    return _json(
        vllm_result(measurement, leg, is_detailed=wish.is_detailed, is_complete=wish.is_complete)
    )


def _aiperf(measurement: Measurement, wish: Wish) -> bytes:
    leg = choose_leg(measurement, wish.leg)
    return _json(aiperf_summary(measurement, leg, is_complete=wish.is_complete), indent=2)


def _aiperf_records(measurement: Measurement, wish: Wish) -> bytes:
    leg: Leg = choose_leg(measurement, wish.leg)
    return b"".join(_json(line) for line in aiperf_records(measurement, leg))


def _json(tree: Mapping[str, object], indent: int | None = None) -> bytes:
    return json.dumps(tree, indent=indent, allow_nan=False).encode() + b"\n"


_OPTIONS = {
    "leg": "--leg",
    "is_per_chunk": "--per chunk",
    "is_detailed": "--save-detailed",
    "is_complete": "--all-percentiles",
}
FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        known.name: known
        for known in (
            Format("csv", "a table, our own figures", frozenset({"is_per_chunk"}), _csv),
            Format("parquet", "the same, typed", frozenset({"is_per_chunk"}), _parquet),
            Format(
                "vllm",
                "as `vllm bench serve --save-result`",
                frozenset({"leg", "is_detailed", "is_complete"}),
                _vllm,
                has_statistics=True,
            ),
            Format(
                "aiperf",
                "as aiperf's profile_export_aiperf.json",
                frozenset({"leg", "is_complete"}),
                _aiperf,
                has_statistics=True,
            ),
            Format(
                "aiperf-records",
                "as aiperf's profile_export.jsonl",
                frozenset({"leg"}),
                _aiperf_records,
            ),
        )
    }
)
