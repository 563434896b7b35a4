"""Figures by definition, from records made by hand."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.bench.client_health import LoopLag
from trt_nemotron.measure.bench.figures.request_figures import measure_request, token_chunks
from trt_nemotron.measure.bench.figures.stability import drift_notes, rank_sum_z
from trt_nemotron.measure.bench.figures.summarise import summarise, summarise_leg
from trt_nemotron.measure.bench.figures.summary import Slo, metric_names
from trt_nemotron.measure.bench.figures.validity import find_invalid_reasons
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.values import ChunkKind, ChunkRecord, RequestRecord

MS = 1_000_000


def record(
    *chunks: tuple[float, ChunkKind], sent_ms: float = 0.0, index: int = 0, **fields: object
) -> RequestRecord:
    made = tuple(
        ChunkRecord(received_ns=round(at * MS), kind=kind, characters=1) for at, kind in chunks
    )
    base = RequestRecord(
        index=index,
        concurrency=1,
        is_warmup=False,
        outcome="ok",
        connect_ns=0,
        sent_ns=round(sent_ms * MS),
        finished_ns=max((c.received_ns for c in made), default=0),
        chunks=made,
        completion_tokens=sum(c.kind in {"content", "reasoning"} for c in made),
    )
    return msgspec.structs.replace(base, **fields)


def test_every_definition_on_one_stream():
    figures = measure_request(
        record(
            (1, "empty"),
            (2, "blank"),
            (10, "reasoning"),
            (14, "blank"),
            (18, "content"),
            (30, "content"),
            (31, "usage"),
            (32, "done"),
            sent_ms=0.5,
            completion_tokens=4,
        )
    )
    assert figures.ttft_ms == 9.5
    assert figures.ttfa_ms == 17.5
    assert figures.gaps_ms == (4.0, 4.0, 12.0)
    assert figures.tpot_ms == pytest.approx(20 / 3)
    assert figures.e2e_ms == 29.5
    assert figures.first_doubt == 0


def test_tpot_needs_usage_and_a_second_token():
    two = ((1.0, "content"), (2.0, "content"))
    assert measure_request(record(*two, completion_tokens=-1)).tpot_ms is None
    assert measure_request(record((1, "content"), completion_tokens=1)).tpot_ms is None
    assert measure_request(record(*two, completion_tokens=2)).tpot_ms == 1.0


def test_chunks_read_together_with_the_first_are_not_timed_as_if_apart():
    """Four of eight came in the first read: its stamp is the fourth's, so four gaps are known."""
    late = record(*[(10, "content")] * 4, *[(10 + i, "content") for i in range(1, 5)])
    figures = measure_request(late)
    assert figures.tpot_ms == 1.0
    assert figures.first_doubt == pytest.approx(3 / 10)


def test_everything_in_one_read_gives_no_tpot_instead_of_nought():
    figures = measure_request(record(*[(10, "content")] * 8))
    assert figures.tpot_ms is None
    assert figures.first_doubt == float("inf")


@settings(deadline=None)
@given(st.lists(st.sampled_from(["empty", "blank", "content", "reasoning", "usage"]), max_size=12))
def test_token_chunks_begin_with_a_real_one(kinds: list[ChunkKind]):
    chunks = token_chunks(record(*[(i, kind) for i, kind in enumerate(kinds)]))
    assert not chunks or chunks[0].kind in {"content", "reasoning"}
    assert all(chunk.kind in {"content", "reasoning", "blank"} for chunk in chunks)


def test_warmup_and_failures_give_no_latency():
    good = [record((10, "content"), (20, "content"), index=i) for i in range(8)]
    bad = [record((500, "content"), index=9, outcome="truncated")]
    summary = summarise_leg(Leg(concurrency=1), [*good, *bad], None)
    assert summary.good == 8
    assert summary.ttft_ms.maximum == 10
    assert summary.error_share == pytest.approx(1 / 9)
    assert summary.outcomes == {"ok": 8, "truncated": 1}


def test_throughput_and_goodput_count_good_tokens_over_the_whole_time():
    records = [
        record((at + ttft, "content"), (at + 100, "content"), sent_ms=at, index=i)
        for i, (at, ttft) in enumerate([(0, 10), (100, 90), (200, 10), (300, 10)])
    ]
    summary = summarise_leg(Leg(concurrency=1), records, Slo(ttft_ms=50))
    assert summary.duration_s == pytest.approx(0.4)
    assert summary.tokens_per_s == pytest.approx(8 / 0.4)
    assert summary.goodput_rps == pytest.approx(3 / 0.4)
    assert summarise_leg(Leg(concurrency=1), records, None).goodput_rps is None


def test_a_request_without_the_figure_does_not_keep_its_limit():
    only = [record((10, "content"), (20, "content"), completion_tokens=-1)]
    assert summarise_leg(Leg(concurrency=1), only, Slo(tpot_ms=1000)).goodput_rps == 0


def test_every_metric_can_be_read_by_name(make_measurement):
    level = summarise(make_measurement(requests=8), Slo(ttft_ms=1e9)).at(1)
    for name in metric_names():
        reading = level.reading(name)
        assert (reading.value is None) == bool(reading.reason), name
    assert level.reading("ttft_p50_ms").value == level.ttft_ms.p50
    assert level.reading("ttft_p99_ms").reason == "needs 459 samples, there are 8"
    for wrong in ("ttft_ms", "ttft_p98_ms", "samples", "p50"):
        with pytest.raises(InvalidInput):
            level.reading(wrong)


def test_an_unmeasured_concurrency_is_named(make_measurement):
    with pytest.raises(InvalidInput, match="concurrency 3 was not measured"):
        summarise(make_measurement()).at(3)


def test_a_busy_client_makes_the_run_invalid(make_measurement, change):
    measurement = make_measurement()
    assert find_invalid_reasons(measurement) == ()
    busy = change(measurement, client={"cpu_share": 0.95})
    assert "bottleneck" in find_invalid_reasons(busy)[0]
    slow = change(measurement, client={"stamp_delay_p50_ms": 5.0})
    assert "loopback" in find_invalid_reasons(slow)[0]


def test_late_reads_make_the_run_invalid_only_when_the_client_was_late(make_measurement, change):
    merged = [
        msgspec.structs.replace(
            r,
            chunks=tuple(
                msgspec.structs.replace(c, received_ns=r.chunks[9].received_ns) if n < 10 else c
                for n, c in enumerate(r.chunks)
            ),
        )
        for r in make_measurement(concurrencies=(1,)).records
    ]
    measurement = msgspec.structs.replace(make_measurement(), records=tuple(merged))
    assert summarise(measurement).at(1).doubtful_share == 1.0
    assert find_invalid_reasons(measurement) == ()
    lag = LoopLag(concurrency=1, p99_ms=4.0)
    assert "too busy" in find_invalid_reasons(change(measurement, client={"loop_lags": (lag,)}))[0]


def test_drift_is_noted_and_steadiness_is_not():
    def series(ttfts: list[float]) -> list[RequestRecord]:
        return [
            record((i * 100 + t, "content"), (i * 100 + t + 5, "content"), sent_ms=i * 100, index=i)
            for i, t in enumerate(ttfts)
        ]

    steady = [10 + (i * 7 % 5) / 10 for i in range(60)]
    assert drift_notes(Leg(concurrency=1), series(steady)) == ()
    (note,) = drift_notes(
        Leg(concurrency=1), series([t * (1.5 - i / 100) for i, t in enumerate(steady)])
    )
    assert "TTFT drifted" in note
    assert drift_notes(Leg(concurrency=1), series(steady[:20])) == ()


@settings(deadline=None)
@given(st.lists(st.floats(0, 9), min_size=2, max_size=9), st.lists(st.floats(0, 9), min_size=2))
def test_rank_sum_is_antisymmetric(left: list[float], right: list[float]):
    assert rank_sum_z(left, right) == pytest.approx(-rank_sum_z(right, left), abs=1e-9)
