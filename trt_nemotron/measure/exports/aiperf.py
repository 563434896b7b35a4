"""One leg as `aiperf profile` writes it: its summary, and its file of one line a request.

Names, units and formulas as in aiperf 0.13.0, export schema 1.4
(https://github.com/ai-dynamo/aiperf/blob/v0.13.0/src/aiperf/common/models/export_models.py,
`JsonExportData`; `record_models.py`, `MetricRecordInfo`; `metrics/types/`). Where our events and
its differ stands in docs/exporting.md; the summary says so itself under `trt_nemotron`.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.exports.statistics import deviation, mean, percentiles
from trt_nemotron.measure.exports.streams import Stream, duration_s, streams_of
from trt_nemotron.measure.gate.baseline import time_of

SCHEMA_VERSION = "1.4"
SOURCE = "ai-dynamo/aiperf@v0.13.0:src/aiperf/common/models/export_models.py"
PERCENTILES = (1, 5, 10, 25, 50, 75, 90, 95, 99)

_NS_PER_S = 1_000_000_000
_MS_PER_S = 1e3
_RECORD_UNITS = {
    "time_to_first_token": "ms",
    "time_to_second_token": "ms",
    "time_to_first_output_token": "ms",
    "request_latency": "ms",
    "inter_token_latency": "ms",
    "inter_chunk_latency": "ms",
    "output_token_throughput_per_user": "tokens/sec/user",
    "output_sequence_length": "tokens",
    "input_sequence_length": "tokens",
}


def aiperf_summary(measurement: Measurement, leg: Leg, *, is_complete: bool) -> dict[str, object]:
    """`profile_export_aiperf.json` of one leg.

    Args:
        measurement: as `bench` kept it.
        leg: one of its legs.
        is_complete: with every percentile, from however few samples.
    """
    streams = streams_of(measurement, leg)
    good = [stream for stream in streams if stream.is_good]
    begin_ns = begun_ns(measurement)
    sent = [stream.record.sent_ns for stream in streams]
    ended = [stream.record.finished_ns for stream in streams]
    return {
        "schema_version": SCHEMA_VERSION,
        **_distributions(good, is_complete=is_complete),
        **_totals(streams, good),
        "error_summary": _error_summary(streams),
        "was_cancelled": False,
        "is_complete": True,
        "start_time": _iso(begin_ns + min(sent, default=0)),
        "end_time": _iso(begin_ns + max(ended, default=0)),
        "trt_nemotron": {
            "version": measurement.environment.client_version,
            "leg": leg.title,
            "arrivals": measurement.workload.arrivals,
            "clock": measurement.client.clock,
            "model": measurement.environment.model,
            "definitions": (
                "formulas of aiperf over our events: a stream begins when the request's last byte "
                "is sent; a stream that ended in an error, truncated, of wrong length or void is "
                "an error"
            ),
            "source": SOURCE,
        },
    }


def aiperf_records(measurement: Measurement, leg: Leg) -> list[dict[str, object]]:
    """The lines of `profile_export.jsonl`: every measured request of one leg, warm-up left out."""
    begin_ns = begun_ns(measurement)
    return [
        {
            "metadata": _record_metadata(place, stream, begin_ns),
            "metrics": {
                name: {"value": value, "unit": _RECORD_UNITS[name]}
                for name, value in _metrics_of(stream).items()
            },
            **({} if stream.is_good else {"error": _error(stream)}),
        }
        for place, stream in enumerate(streams_of(measurement, leg))
    ]


def begun_ns(measurement: Measurement) -> int:
    """Wall clock of the run's start, in nanoseconds; as exact as `started_at`; 0 where unknown."""
    begun = time_of(measurement.started_at)
    if begun is None:
        return 0
    since = begun - dt.datetime.fromtimestamp(0, dt.timezone.utc)
    return since // dt.timedelta(microseconds=1) * 1000


def _metrics_of(stream: Stream) -> Mapping[str, float | list[float]]:
    """Everything one record gives; a metric that it cannot give is left out, as there."""
    found: dict[str, float | list[float]] = {}
    if not stream.is_good:
        return found
    found["time_to_first_token"] = _MS_PER_S * stream.ttft_s
    if stream.gaps_s:
        found["time_to_second_token"] = _MS_PER_S * stream.gaps_s[0]
        found["inter_chunk_latency"] = [_MS_PER_S * gap for gap in stream.gaps_s]
    if stream.answer_s is not None:
        found["time_to_first_output_token"] = _MS_PER_S * stream.answer_s
    found["request_latency"] = _MS_PER_S * stream.latency_s
    token_s = _inter_token_s(stream)
    if token_s is not None:
        found["inter_token_latency"] = _MS_PER_S * token_s
    if token_s:
        found["output_token_throughput_per_user"] = 1.0 / token_s
    found["output_sequence_length"] = stream.output_tokens
    if stream.record.prompt_tokens >= 0:
        found["input_sequence_length"] = stream.input_tokens
    return found


def _inter_token_s(stream: Stream) -> float | None:
    """(latency - TTFT) / (tokens - tokens of the first chunk), one where that cannot be."""
    tokens = stream.output_tokens
    if tokens < 2:
        return None
    later = tokens - stream.first_tokens if stream.first_tokens < tokens else tokens - 1
    return (stream.latency_s - stream.ttft_s) / later


def _distributions(good: Sequence[Stream], *, is_complete: bool) -> dict[str, object]:
    values: dict[str, list[float]] = {name: [] for name in _RECORD_UNITS}
    for stream in good:
        for name, value in _metrics_of(stream).items():
            values[name] += value if isinstance(value, list) else [value]
    return {
        name: _distribution(those, _RECORD_UNITS[name], is_complete=is_complete)
        for name, those in values.items()
        if those
    }


def _distribution(values: Sequence[float], unit: str, *, is_complete: bool) -> dict[str, object]:
    found = percentiles(values, PERCENTILES, is_complete=is_complete)
    return {
        "unit": unit,
        "avg": mean(values),
        **{f"p{percent}": value for percent, value in found.items()},
        "min": min(values),
        "max": max(values),
        "std": deviation(values),
        "count": len(values),
        "sum": sum(values),
    }


def _totals(streams: Sequence[Stream], good: Sequence[Stream]) -> dict[str, object]:
    seconds = duration_s(streams)
    tokens_in = sum(stream.input_tokens for stream in good)
    tokens_out = sum(stream.output_tokens for stream in good)
    found: dict[str, object] = {
        "request_count": _total("requests", len(good)),
        "benchmark_duration": _total("sec", seconds),
        "total_isl": _total("tokens", tokens_in),
        "total_osl": _total("tokens", tokens_out),
    }
    if len(good) < len(streams):
        found["error_request_count"] = _total("requests", len(streams) - len(good))
    if seconds > 0:
        found["request_throughput"] = _total("requests/sec", len(good) / seconds)
        found["output_token_throughput"] = _total("tokens/sec", tokens_out / seconds)
    return found


def _total(unit: str, value: float) -> dict[str, object]:
    return {"unit": unit, "avg": float(value)}


def _error_summary(streams: Iterable[Stream]) -> list[dict[str, object]]:
    faults = Counter(
        (stream.record.status_code, stream.record.outcome, stream.fault)
        for stream in streams
        if not stream.is_good
    )
    return [{"error_details": _details(*fault), "count": count} for fault, count in faults.items()]


def _error(stream: Stream) -> dict[str, object]:
    return _details(stream.record.status_code, stream.record.outcome, stream.fault)


def _details(code: int, kind: str, message: str) -> dict[str, object]:
    """`kind` is our outcome; a void request was answered well and says so."""
    named: dict[str, object] = {"type": "void" if kind == "ok" else kind, "message": message}
    return {"code": code, **named} if code else named


def _record_metadata(place: int, stream: Stream, begin_ns: int) -> dict[str, object]:
    record = stream.record
    found: dict[str, object] = {
        "session_num": record.session if record.session >= 0 else place,
        "turn_index": record.turn,
        "request_start_ns": begin_ns + record.sent_ns,
        "request_end_ns": begin_ns + record.finished_ns,
        "worker_id": "trt-nemotron",
        "record_processor_id": "trt-nemotron",
        "benchmark_phase": "profiling",
        "was_cancelled": False,
    }
    if record.session >= 0:
        found["conversation_id"] = str(record.session)
    if record.intended_ns >= 0:
        found["credit_issued_ns"] = begin_ns + record.intended_ns
    return found


def _iso(wall_ns: int) -> str:
    moment = dt.datetime.fromtimestamp(wall_ns // _NS_PER_S, dt.timezone.utc)
    return moment.replace(microsecond=wall_ns % _NS_PER_S // 1000).isoformat()
