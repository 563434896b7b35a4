"""Legs by rate and by prompt length, soaks and histories, as the page shows them."""

import random
from collections.abc import Callable

import msgspec
import pytest

from trt_nemotron.measure.bench.figures.summarise import summarise
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.report.history_plots import history_plots
from trt_nemotron.measure.report.latency import latency_rows, plots, timelines
from trt_nemotron.measure.report.load_plots import load_plots
from trt_nemotron.measure.report.loads import PROMPT, RATE, STREAMS, load_of, short_name

MakeRun = Callable[..., Measurement]
replace = msgspec.structs.replace


@pytest.fixture
def open_run(make_measurement: MakeRun) -> Measurement:
    """Three rates, every request sent 3 ms after it was meant to be."""
    run = make_measurement(concurrencies=(2, 4, 8))
    records = tuple(
        replace(r, rate_rps=10.0 * r.concurrency, concurrency=8, intended_ns=r.sent_ns - 3_000_000)
        for r in run.records
        if r.sent_ns > 3_000_000
    )
    return replace(run, records=records, workload=replace(run.workload, arrivals="poisson"))


def test_an_open_loop_shows_what_was_served_and_what_waited(open_run: Measurement):
    summary = summarise(open_run)
    rows = latency_rows(summary)
    assert [row.name for row in rows] == ["20 requests/s", "40 requests/s", "80 requests/s"]
    cells = {cell.title: cell for cell in rows[0].cells}
    assert cells["Queue p50"].figure == "3.00"
    assert " of " in cells["Served"].figure
    titles = [plot.title for plot in plots(open_run, summary)]
    assert titles == [
        "Time to first token", "Inter-token latency", "First token under load",
        "Speed of a stream under load", "Waiting to be sent", "Throughput under load",
        "Served of what was offered",
    ]  # fmt: skip
    assert [plot.title for plot in timelines(open_run)] == [row.name for row in rows]


def test_a_closed_loop_has_no_queue(make_measurement: MakeRun):
    summary = summarise(make_measurement())
    assert "Queue p50" not in {cell.title for cell in latency_rows(summary)[0].cells}
    titles = [plot.title for plot in load_plots({"": summary})]
    assert "Waiting to be sent" not in titles


def test_the_knee_is_marked(make_measurement: MakeRun):
    run = make_measurement(concurrencies=(1, 2, 4))
    summary = summarise(run)
    flat = replace(
        summary,
        concurrencies=tuple(replace(leg, tokens_per_s=100.0) for leg in summary.legs),
    )
    drawn = {plot.title: plot.svg for plot in load_plots({"": flat})}
    assert all(">knee<" in svg for svg in drawn.values())
    assert not any(">knee<" in plot.svg for plot in load_plots({"": summary}))


def test_one_load_alone_has_no_curve(make_measurement: MakeRun):
    assert list(load_plots({"": summarise(make_measurement(concurrencies=(4,)))})) == []


@pytest.mark.parametrize(
    ("legs", "load", "names"),
    [
        ([Leg(concurrency=1), Leg(concurrency=8)], STREAMS, ["1", "8"]),
        ([Leg(concurrency=8, rate_rps=2.5)], RATE, ["2.5"]),
        (
            [Leg(concurrency=1, input_tokens=1024), Leg(concurrency=1, input_tokens=4096)],
            PROMPT, ["1,024", "4,096"],
        ),
        (
            [
                Leg(concurrency=1, input_tokens=1024), Leg(concurrency=2, input_tokens=1024),
                Leg(concurrency=1, input_tokens=4096),
            ],
            PROMPT,
            ["concurrency 1, 1024 tokens in", "concurrency 2, 1024 tokens in", "4,096"],
        ),
    ],
)  # fmt: skip
def test_legs_stand_along_what_they_differ_in(legs: list[Leg], load: object, names: list[str]):
    found = load_of(legs)
    assert found is load
    assert [short_name(leg, found, legs) for leg in legs] == names


def soak(make_measurement: MakeRun, factor: float) -> Measurement:
    """Two minutes of one stream; half-way, everything takes `factor` times as long."""
    slow, rng = make_measurement(requests=1, concurrencies=(1,), tokens=4), random.Random(1)
    records, at = [], 0
    (model,) = slow.records
    for index in range(1200):
        scale = rng.uniform(0.95, 1.05) * (factor if index >= 600 else 1.0)
        chunks = tuple(
            replace(c, received_ns=at + round(place * scale * 2.5e7))
            for place, c in enumerate(model.chunks, start=1)
        )
        end = chunks[-1].received_ns
        records.append(replace(model, index=index, sent_ns=at, finished_ns=end, chunks=chunks))
        at = end
    return replace(slow, records=tuple(records))


def test_a_soak_shows_where_its_level_changed(make_measurement: MakeRun):
    run = soak(make_measurement, 1.5)
    drawn = [plot for plot in plots(run, summarise(run)) if "over time" in plot.title]
    assert [plot.title for plot in drawn] == [
        "TTFT over time, 1 stream",
        "TPOT over time, 1 stream",
    ]
    assert all("It moved" in plot.note and "landmark" in plot.svg for plot in drawn)


def test_a_steady_soak_has_no_mark(make_measurement: MakeRun):
    run = soak(make_measurement, 1.0)
    drawn = [plot for plot in plots(run, summarise(run)) if "over time" in plot.title]
    assert len(drawn) == 2
    assert all("No trend" in plot.note and "landmark" not in plot.svg for plot in drawn)


def test_a_short_leg_is_no_soak(make_measurement: MakeRun):
    run = make_measurement()
    assert not [p for p in plots(run, summarise(run)) if "over time" in p.title]


def test_a_history_shows_its_change_and_leaves_out_what_cannot_be_compared(
    make_measurement: MakeRun,
):
    runs = [
        make_measurement(
            concurrencies=(1,), seed=day, started_at=f"2026-11-{day:02d}T12:00:00Z",
            tpot_ms=0.5 if day < 10 else 0.6,
        )
        for day in range(1, 21)
    ]  # fmt: skip
    other = replace(runs[3], environment=replace(runs[3].environment, image="sha256:1"))
    drawn = {p.title: p for p in history_plots(runs[-1], [*runs[:3], other, *runs[3:-1]])}
    assert set(drawn) == {
        "ttft_p50_ms, 1 stream", "tpot_p50_ms, 1 stream", "tokens_per_s, 1 stream",
    }  # fmt: skip
    slower = drawn["tpot_p50_ms, 1 stream"]
    assert "landmark" in slower.svg
    assert ">20 runs<" in slower.svg
    assert "2026-11-01" in slower.svg
    assert "2026-11-20" in slower.svg
    assert "landmark" not in drawn["ttft_p50_ms, 1 stream"].svg


def test_without_a_past_there_is_no_history(make_measurement: MakeRun):
    run = make_measurement()
    assert history_plots(run, []) == history_plots(None, [run]) == []
    other = replace(run, environment=replace(run.environment, image="sha256:1"))
    assert history_plots(run, [other]) == []
