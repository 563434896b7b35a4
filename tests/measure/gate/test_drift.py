"""A leg whose latency moved is of no one state of the machine: what then still may be judged."""

from collections.abc import Callable

import msgspec
import pytest

from trt_nemotron.errors import NoValidMeasurement
from trt_nemotron.measure.baselines.ledger import describe
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.values import Measurement, Surroundings
from trt_nemotron.measure.gate.budget import AbsoluteBound, Budget, RelativeBound
from trt_nemotron.measure.gate.judge import judge
from trt_nemotron.measure.gate.place import Place
from trt_nemotron.measure.gate.validity import drift_fault

MakeRun = Callable[..., Measurement]
replace = msgspec.structs.replace


def moved(run: Measurement, by_ns: int) -> Measurement:
    records = (
        replace(
            record,
            sent_ns=record.sent_ns + by_ns,
            finished_ns=record.finished_ns + by_ns,
            chunks=tuple(
                replace(chunk, received_ns=chunk.received_ns + by_ns) for chunk in record.chunks
            ),
        )
        for record in run.records
    )
    return replace(run, records=tuple(records))


@pytest.fixture
def make_drifting(make_measurement: MakeRun) -> MakeRun:
    """Three thirds of a leg, each with a TTFT of its own."""

    def make(*ttfts_ms: float, requests: int = 16) -> Measurement:
        parts = [
            moved(
                make_measurement(
                    ttft_ms=ttft, requests=requests, concurrencies=(1,), seed=place + 1
                ),
                place * 10**10,
            )
            for place, ttft in enumerate(ttfts_ms)
        ]
        records = [record for part in parts for record in part.records]
        return replace(parts[0], records=tuple(replace(r, index=i) for i, r in enumerate(records)))

    return make


def budget(at_most: float, metric: str = "ttft_p50_ms") -> Budget:
    return Budget(
        target="cpu", bounds=(AbsoluteBound(metric=metric, concurrency=1, at_most=at_most),)
    )


def test_what_stood_still_has_not_drifted(make_drifting: MakeRun):
    assert drift_fault(make_drifting(8.0, 8.0, 8.0), Place(concurrency=1)) == ""
    assert drift_fault(make_drifting(8.0, 8.0, 16.0), Place(concurrency=2)) == ""


@pytest.mark.parametrize("ttfts", [(16.0, 8.0, 8.0), (8.0, 8.0, 16.0)])
@pytest.mark.parametrize(
    ("at_most", "decision"), [(40.0, "pass"), (12.0, "invalid"), (4.0, "fail")]
)
def test_a_bound_stands_where_both_ends_agree(
    make_drifting: MakeRun, ttfts: tuple[float, ...], at_most: float, decision: str
):
    """A warm-up that was too short, and a board that throttled."""
    verdict = judge(budget(at_most), make_drifting(*ttfts))
    assert verdict.decision == decision
    assert ("TTFT drifted" in verdict.results[0].reason) is (decision == "invalid")


def test_a_tail_that_a_third_cannot_show_is_invalid(make_drifting: MakeRun):
    run = make_drifting(16.0, 8.0, 8.0)
    assert judge(budget(40.0, "ttft_p90_ms"), run).decision == "invalid"
    assert judge(budget(40.0, "ttft_p90_ms"), make_drifting(8.0, 8.0, 8.0)).decision == "pass"


def test_what_no_clock_measured_does_not_drift(make_drifting: MakeRun):
    assert judge(budget(0.1, "error_share"), make_drifting(16.0, 8.0, 8.0)).decision == "pass"


def test_a_late_client_is_judged_at_worst_in_both_ends_too(make_drifting: MakeRun, change: MakeRun):
    late = change(
        make_drifting(16.0, 8.0, 8.0), client={"clock": "user_read", "loop_lag_p99_ms": 5.0}
    )
    assert judge(budget(40.0), late).decision == "pass"
    assert judge(budget(12.0), late).decision == "invalid"


def test_a_client_in_time_is_judged_by_its_own_figures_in_both_ends(make_drifting: MakeRun):
    """TPOT is 0.5 ms; at worst, from the sending, it would be twice that and more."""
    run = make_drifting(16.0, 8.0, 8.0)
    assert drift_fault(run, Place(concurrency=1))
    assert judge(budget(0.7, "tpot_p50_ms"), run).decision == "pass"


def relative(percent: float = 50.0) -> Budget:
    return Budget(
        target="cpu",
        relative=(
            RelativeBound(metric="ttft_p50_ms", concurrency=1, worse_by_at_most_percent=percent),
        ),
    )


def test_a_figure_that_moved_is_compared_with_none(make_drifting: MakeRun):
    run, steady = make_drifting(16.0, 8.0, 8.0), make_drifting(8.0, 8.0, 8.0)
    before = {"started_at": "2026-11-22T12:00:00Z"}
    assert judge(relative(), steady, baseline=replace(steady, **before)).decision == "pass"
    assert judge(relative(), run, baseline=replace(steady, **before)).decision == "invalid"
    against = judge(relative(), steady, baseline=replace(run, **before))
    assert against.decision == "no_baseline"
    assert "drifted" in against.results[0].reason


def test_a_run_that_moved_is_no_baseline(make_drifting: MakeRun):
    describe(make_drifting(8.0, 8.0, 8.0))
    with pytest.raises(NoValidMeasurement) as caught:
        describe(make_drifting(16.0, 8.0, 8.0))
    assert "drifted" in caught.value.evidence


def test_a_fault_of_the_run_outranks_its_drift(make_drifting: MakeRun, change: MakeRun):
    busy = change(make_drifting(16.0, 8.0, 8.0), client={"cpu_share": 0.99})
    (result,) = judge(relative(), busy).results
    assert result.decision == "invalid"
    assert "bottleneck" in result.reason
    assert "drifted" not in result.reason


def test_a_third_of_the_shortest_leg_that_can_drift_has_a_median(make_drifting: MakeRun):
    run = make_drifting(16.0, 8.0, 8.0, requests=8)
    assert drift_fault(run, Place(concurrency=1))
    assert judge(budget(40.0), run).decision == "pass"


def test_creep_is_remarked_on_for_a_valid_run_alone(make_measurement: MakeRun):
    history = [
        replace(
            make_measurement(ttft_ms=8.0 + 4.0 * (day > 15), seed=day, concurrencies=(1,)),
            started_at=f"2026-10-{day:02}T12:00:00Z",
        )
        for day in range(1, 31)
    ]
    run = make_measurement(ttft_ms=12.0, seed=40, concurrencies=(1,))
    assert judge(relative(), run, history=history).remarks
    hot = Surroundings(
        leg=Leg(concurrency=1), duration_s=9.0, processors=2, lowered_clocks=("cpufreq-cpu0",)
    )
    assert judge(relative(), replace(run, surroundings=(hot,)), history=history).remarks == ()
