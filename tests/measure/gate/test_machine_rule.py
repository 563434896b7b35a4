"""A machine that was not at rest: told which leg, how much, and by what; and never a pass."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from trt_nemotron.errors import InvalidInput, NoValidMeasurement
from trt_nemotron.measure.baselines.ledger import record
from trt_nemotron.measure.baselines.storage import open_storage
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.values import Measurement, Surroundings, Throttled
from trt_nemotron.measure.gate.budget import Budget, read_budget, shipped_machine_rule
from trt_nemotron.measure.gate.demands import MachineRule
from trt_nemotron.measure.gate.judge import judge
from trt_nemotron.measure.gate.machine_rule import machine_faults


@pytest.fixture
def run(make_measurement: Callable[..., Measurement]) -> Callable[..., Measurement]:
    """A sound run whose second leg, of 20 s on four processors, had such surroundings."""

    def make(**second: object) -> Measurement:
        legs = [
            Surroundings(leg=Leg(concurrency=1), duration_s=10.0, processors=4),
            Surroundings(leg=Leg(concurrency=4), duration_s=20.0, processors=4, **second),
        ]
        return msgspec.structs.replace(make_measurement(), surroundings=tuple(legs))

    return make


def throttled(seconds: float) -> dict[str, object]:
    return {"throttled": (Throttled(what="GPU 0, hw_thermal_slowdown", seconds=seconds),)}


FAULTS = [
    (
        {"other_load_processors": 1.01},
        "other programs kept 1.0 and a hypervisor took 0.0 of 4 processors",
    ),
    (
        {"stolen_processors": 1.5},
        "other programs kept 0.0 and a hypervisor took 1.5 of 4 processors",
    ),
    ({"other_load_processors": 0.6, "stolen_processors": 0.5}, "other programs kept 0.6 and a"),
    (throttled(0.21), "clocks were lowered for 0.2 of 20.0 s"),
    ({"lowered_clocks": ("cpufreq-cpu0",)}, "clocks were lowered by cpufreq-cpu0"),
]


@pytest.mark.parametrize(("seen", "said"), FAULTS)
def test_a_machine_that_was_not_at_rest_is_invalid_and_says_why(run, make_budget, seen, said: str):
    verdict = judge(make_budget(ttft_p50_ms=20), run(**seen))
    assert verdict.decision == "invalid"
    (reason,) = verdict.invalid_reasons
    assert reason.startswith(said)
    assert Leg(concurrency=4).title in reason


@pytest.mark.parametrize(
    "seen",
    [
        {},
        {"other_load_processors": None},
        {"other_load_processors": 1.0},
        {"stolen_processors": 1.0},
        throttled(0.2),
    ],
)
def test_what_is_within_the_rule_or_unknown_is_no_fault(run, make_budget, seen):
    assert judge(make_budget(ttft_p50_ms=20), run(**seen)).decision == "pass"


@pytest.mark.parametrize(("seen", "said"), FAULTS)
def test_a_rule_may_allow_anything(run, seen, said: str):
    anything = MachineRule(other_load_share_at_most=1.0, throttled_share_at_most=1.0)
    assert list(machine_faults(run(**seen), anything)) == []
    assert len(list(machine_faults(run(**seen), MachineRule()))) == 1


def test_a_rule_of_nothing_at_all_is_kept_by_nothing_at_all(run):
    none = MachineRule(other_load_share_at_most=0.0, throttled_share_at_most=0.0)
    assert list(machine_faults(run(other_load_processors=0.0), none)) == []
    assert len(list(machine_faults(run(other_load_processors=0.01), none))) == 1


@pytest.mark.parametrize(("seen", "said"), FAULTS)
def test_no_baseline_is_taken_from_it(run, tmp_path: Path, seen, said: str):
    made = run(**seen)
    on_a_board = msgspec.structs.replace(made.environment, target="spark")
    with pytest.raises(NoValidMeasurement) as caught:
        record(
            open_storage(str(tmp_path)),
            msgspec.structs.replace(made, environment=on_a_board),
            reason="the first",
        )
    assert said in f"{caught.value.message} {caught.value.evidence}"


def test_a_baseline_of_a_machine_that_nobody_chose_may_have_load(run, tmp_path: Path):
    """As the budget has it that we ship for the target."""
    storage = open_storage(str(tmp_path))
    assert record(storage, run(other_load_processors=3.9), reason="the first")
    with pytest.raises(NoValidMeasurement):
        record(storage, run(**throttled(9.0)), reason="the second")
    assert shipped_machine_rule("a board of mine") == MachineRule()


@pytest.mark.parametrize(("seen", "said"), FAULTS)
def test_where_no_figure_is_judged_none_can_be_spoiled(run, seen, said: str):
    budget = Budget(target="cpu", status="unmeasured")
    assert judge(budget, run(**seen)).decision == "no_baseline"


@pytest.mark.parametrize(("seen", "said"), FAULTS)
def test_a_relative_bound_is_not_judged_on_it(run, make_budget, seen, said: str):
    relative = make_budget(relative={"tpot_p50_ms": 5.0})
    verdict = judge(relative, run(**seen))
    assert verdict.decision == "invalid"
    assert verdict.invalid_reasons[0].startswith(said)


@pytest.mark.parametrize(
    "text",
    [
        "machine: {other_load_share_at_most: 25}", "machine: {throttled_share_at_most: 1.01}",
        "machine: {other_load_share_at_most: .nan}", "machine: {other_load_share_at_most: -0.1}",
        "workload: {cached_share_at_most: 10}",
    ],
)  # fmt: skip
def test_a_share_that_is_none_is_refused(tmp_path: Path, text: str):
    path = tmp_path / "budget.yaml"
    path.write_text(
        f"schema: trt-nemotron/budget/1\ntarget: cpu\nsmoke: {{required: true}}\n{text}\n"
    )
    with pytest.raises(InvalidInput):
        read_budget(path)
    path.write_text(path.read_text().replace(text, "machine: {other_load_share_at_most: 1}"))
    assert read_budget(path).machine.other_load_share_at_most == 1.0


def test_a_run_of_which_nobody_looked_is_judged_by_itself(make_measurement):
    assert list(machine_faults(make_measurement(), MachineRule())) == []
