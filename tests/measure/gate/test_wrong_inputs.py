"""Eight wrong inputs, by name: none may pass. The rules that find them have tests of their own."""

import math
from collections.abc import Callable

import msgspec
import pytest

from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.bench.values import RequestRecord
from trt_nemotron.measure.gate.budget import AbsoluteBound, Budget, RelativeBound
from trt_nemotron.measure.gate.judge import judge
from trt_nemotron.measure.gate.values import Decision

EARLY, LATE = "2026-11-23T12:00:00Z", "2026-11-23T13:00:00Z"
Judged = Callable[[], Decision]


def absolute(metric: str, **limit: float) -> Budget:
    return Budget(target="cpu", bounds=(AbsoluteBound(metric=metric, concurrency=1, **limit),))


def relative() -> Budget:
    bound = RelativeBound(metric="tpot_p50_ms", concurrency=1, worse_by_at_most_percent=5.0)
    return Budget(target="cpu", relative=(bound,))


@pytest.fixture
def wrong(make_measurement) -> dict[str, Judged]:
    """Each keeps its bound by far when it is taken for what it is not."""
    run = make_measurement(started_at=LATE)
    kept = make_measurement(tpot_ms=0.6, seed=2, started_at=EARLY)
    wide = absolute("tpot_p50_ms", at_most=100.0)

    def of(records=None, **fields: object) -> Judged:
        changed = msgspec.structs.replace(
            run, **fields, **({} if records is None else {"records": tuple(records)})
        )
        return lambda: judge(wide, changed).decision

    def backwards(record: RequestRecord) -> RequestRecord:
        stamps = tuple(reversed(record.chunks))
        return msgspec.structs.replace(record, chunks=stamps)

    return {
        "inverted direction": lambda: judge(absolute("tpot_p50_ms", at_least=0.1), run).decision,
        "wrong unit": lambda: judge(absolute("tpot_p50_s", at_most=0.1), run).decision,
        # B is slower than A; taken the wrong way round it would be a gain.
        "swapped files": lambda: (
            judge(
                relative(),
                msgspec.structs.replace(kept),
                baseline=make_measurement(tpot_ms=0.8, seed=3, started_at=LATE),
            ).decision
        ),
        "missing metric": of(
            [msgspec.structs.replace(record, completion_tokens=-1) for record in run.records]
        ),
        "NaN": of(client=msgspec.structs.replace(run.client, cpu_share=math.nan)),
        "empty run": of([]),
        "one sample": of(run.records[:1]),
        "clock going backwards": of([backwards(record) for record in run.records]),
    }


@pytest.mark.parametrize(
    "name",
    [
        "inverted direction",
        "wrong unit",
        "swapped files",
        "missing metric",
        "NaN",
        "empty run",
        "one sample",
        "clock going backwards",
    ],
)
def test_no_wrong_input_passes(wrong: dict[str, Judged], name: str):
    try:
        decision = wrong[name]()
    except InvalidInput:
        return  # refused before anything was judged
    assert decision == "invalid"


def test_the_same_without_the_fault_does_pass(make_measurement):
    """Else the eight would prove nothing."""
    run = make_measurement(spread=0.005, started_at=LATE)
    kept = make_measurement(spread=0.005, seed=2, started_at=EARLY)
    assert judge(absolute("tpot_p50_ms", at_most=100.0), run).decision == "pass"
    assert judge(relative(), run, baseline=kept).decision == "pass"


@pytest.mark.parametrize("limit", [math.nan, math.inf, -1.0])
def test_a_bound_that_is_no_number_is_refused(make_measurement, limit: float):
    with pytest.raises(InvalidInput):
        judge(absolute("tpot_p50_ms", at_most=limit), make_measurement())
