"""Fields and units as in aiperf 0.13.0, export schema 1.4.

Where aiperf itself can be imported, its own models read what we write; elsewhere the field names
below, taken from `JsonExportData`, `JsonMetricResult`, `MetricRecordInfo` and
`MetricRecordMetadata` of that release, are held.
"""

import json
from typing import Any

import pytest

from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.exports.aiperf import aiperf_records, aiperf_summary
from trt_nemotron.measure.exports.streams import legs_of

UNITS = {
    "time_to_first_token": "ms",
    "time_to_second_token": "ms",
    "time_to_first_output_token": "ms",
    "request_latency": "ms",
    "inter_token_latency": "ms",
    "inter_chunk_latency": "ms",
    "output_token_throughput_per_user": "tokens/sec/user",
    "output_sequence_length": "tokens",
    "input_sequence_length": "tokens",
    "request_count": "requests",
    "error_request_count": "requests",
    "benchmark_duration": "sec",
    "total_isl": "tokens",
    "total_osl": "tokens",
    "request_throughput": "requests/sec",
    "output_token_throughput": "tokens/sec",
}
PERCENTS = (1, 5, 10, 25, 50, 75, 90, 95, 99)
STATISTICS = {"unit", "avg", "min", "max", "std", "count", "sum", *(f"p{p}" for p in PERCENTS)}
TOP = {
    "schema_version", "error_summary", "was_cancelled", "is_complete", "start_time", "end_time",
    "trt_nemotron",
}  # fmt: skip
METADATA = {
    "session_num", "turn_index", "request_start_ns", "request_end_ns", "worker_id",
    "record_processor_id", "benchmark_phase", "was_cancelled", "conversation_id",
    "credit_issued_ns",
}  # fmt: skip


def summary(run: Measurement, *, complete: bool = True) -> dict[str, Any]:
    tree = aiperf_summary(run, legs_of(run)[0], is_complete=complete)
    again: dict[str, Any] = json.loads(json.dumps(tree, allow_nan=False))
    return again


def records(run: Measurement) -> list[dict[str, Any]]:
    return [json.loads(json.dumps(line)) for line in aiperf_records(run, legs_of(run)[0])]


def test_metrics_and_units_are_those_of_the_tool(mixed_run: Measurement):
    tree = summary(mixed_run)
    assert set(tree) - set(UNITS) == TOP
    assert {name: tree[name]["unit"] for name in UNITS} == UNITS
    distributions = {name for name in UNITS if "count" in tree[name]}
    assert all(set(tree[name]) == STATISTICS for name in distributions)
    assert all(set(tree[name]) == {"unit", "avg"} for name in set(UNITS) - distributions)
    assert tree["schema_version"] == "1.4"


def test_the_summary_follows_from_the_records(mixed_run: Measurement):
    tree, lines = summary(mixed_run), records(mixed_run)
    for name in ("time_to_first_token", "inter_token_latency", "request_latency"):
        values = [line["metrics"][name]["value"] for line in lines if name in line["metrics"]]
        assert tree[name]["count"] == len(values)
        assert tree[name]["avg"] == pytest.approx(sum(values) / len(values))
        assert tree[name]["max"] == max(values)
    gaps = [g for line in lines if line["metrics"]
            for g in line["metrics"]["inter_chunk_latency"]["value"]]  # fmt: skip
    assert tree["inter_chunk_latency"]["count"] == len(gaps)
    failed = [line for line in lines if "error" in line]
    assert tree["error_request_count"]["avg"] == len(failed)
    assert tree["request_count"]["avg"] == len(lines) - len(failed)
    assert sum(fault["count"] for fault in tree["error_summary"]) == len(failed)


def test_a_record_is_good_or_an_error_and_never_both(mixed_run: Measurement):
    for line in records(mixed_run):
        assert set(line["metadata"]) <= METADATA
        assert bool(line["metrics"]) != ("error" in line)
        for name, metric in line["metrics"].items():
            assert set(metric) == {"value", "unit"}
            assert metric["unit"] == UNITS[name]
    kinds = {line["error"]["type"] for line in records(mixed_run) if "error" in line}
    assert kinds == {"stream_error", "http_error", "void"}


def test_inter_token_latency_is_by_its_own_formula(mixed_run: Measurement):
    for line in records(mixed_run):
        m = {name: metric["value"] for name, metric in line["metrics"].items()}
        if "inter_token_latency" in m:
            decoded = (m["request_latency"] - m["time_to_first_token"]) / (
                m["output_sequence_length"] - 1
            )
            assert m["inter_token_latency"] == pytest.approx(decoded)
            rate = m["output_token_throughput_per_user"]
            assert rate == pytest.approx(1e3 / m["inter_token_latency"])


def test_wall_clock_times_lie_in_order_from_the_start(open_run: Measurement):
    begin = 1795435200 * 10**9  # 2026-11-23T12:00:00Z
    for line in records(open_run):
        at = line["metadata"]
        assert begin <= at["credit_issued_ns"] < at["request_start_ns"] < at["request_end_ns"]
        assert at["request_start_ns"] - at["credit_issued_ns"] == 2_000_000
        assert at["conversation_id"] == str(at["session_num"])
    assert summary(open_run)["start_time"].startswith("2026-11-23T12:00:00")


def test_percentiles_are_refused_from_too_few_unless_asked_for(mixed_run: Measurement):
    few = summary(mixed_run, complete=False)["time_to_first_token"]
    assert "p50" in few
    assert not {"p1", "p95", "p99"} & set(few)


def test_its_own_models_read_what_we_write(mixed_run: Measurement, open_run: Measurement):
    models = pytest.importorskip("aiperf.common.models.export_models", reason="no aiperf here")
    kept = pytest.importorskip("aiperf.common.models.record_models", reason="no aiperf here")
    for run in (mixed_run, open_run):
        read = models.JsonExportData.model_validate_json(json.dumps(summary(run)))
        assert read.schema_version == read.SCHEMA_VERSION
        assert read.time_to_first_token.unit == "ms"
        declared = set(models.JsonMetricResult.model_fields)
        assert set(summary(run)["time_to_first_token"]) <= declared
        for line in records(run):
            record = kept.MetricRecordInfo.model_validate_json(json.dumps(line))
            assert set(line["metadata"]) <= set(kept.MetricRecordMetadata.model_fields)
            assert (record.error is None) == bool(record.metrics)
