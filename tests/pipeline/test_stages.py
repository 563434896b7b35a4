"""Stages: each is timed, told and kept, however it ends."""

import signal
from collections.abc import Callable
from itertools import count

import pytest

from trt_nemotron.errors import Interrupted, PlanRefused
from trt_nemotron.measure.smoke.values import SmokeResult
from trt_nemotron.pipeline.record import STAGES, StageName, StageOutcome
from trt_nemotron.pipeline.stages import Stages


class AudienceDouble:
    """Keeps what it is told, in order."""

    def __init__(self) -> None:
        self.told: list[str | StageOutcome] = []

    def stage_begins(self, name: StageName) -> None:
        self.told.append(name)

    def stage_ends(self, outcome: StageOutcome) -> None:
        self.told.append(outcome)

    def smoke_result(self, result: SmokeResult) -> None:
        self.told.append(result.name)

    def phase(self, text: str) -> None:
        self.told.append(text)

    def step(self, done: int, total: int, unit: str) -> None:
        pass

    def note(self, text: str) -> None:
        self.told.append(text)


@pytest.fixture
def audience() -> AudienceDouble:
    return AudienceDouble()


@pytest.fixture
def stages(audience: AudienceDouble) -> Stages:
    """Stages by a clock of which each look takes a quarter of a second."""
    return Stages(audience, clock_of_quarters())


def clock_of_quarters() -> Callable[[], float]:
    looks = count()
    return lambda: next(looks) / 4


def test_a_stage_that_ends_well_is_told_twice_and_kept_once(
    stages: Stages, audience: AudienceDouble
):
    with stages.stage("plan") as notes:
        assert audience.told == ["plan"], "told when it begins, not when it has ended"
        notes.say("it fits", "plan.json")
    (outcome,) = stages.outcomes
    assert audience.told == ["plan", outcome]
    assert outcome == StageOutcome(
        name="plan", status="done", duration_s=0.25, summary="it fits", files=("plan.json",)
    )


@pytest.mark.parametrize(
    ("fault", "summary"),
    [
        (PlanRefused("does not fit", evidence="12 GiB"), "does not fit"),
        (KeyboardInterrupt(), "interrupted"),
        (Interrupted(signal.SIGTERM), "interrupted"),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
    ],
)
def test_an_error_fails_the_stage_and_goes_on(
    stages: Stages, fault: BaseException, summary: str
) -> None:
    with pytest.raises(type(fault)) as caught, stages.stage("build"):
        raise fault
    assert caught.value is fault
    (outcome,) = stages.outcomes
    assert (outcome.status, outcome.summary) == ("failed", summary)
    assert outcome.duration_s == 0.25


def test_a_stage_may_fail_with_its_result_in_hand(stages: Stages):
    with stages.stage("gate") as notes:
        notes.say("FAIL: too slow", "verdict.json")
        notes.is_failed = True
    (outcome,) = stages.outcomes
    assert (outcome.status, outcome.summary) == ("failed", "FAIL: too slow")
    assert outcome.files == ("verdict.json",)


def test_all_names_every_stage_once_with_its_reason(stages: Stages, audience: AudienceDouble):
    with stages.stage("plan"):
        pass
    stages.skip("bench", "smoke failed")
    ended = {outcome.name: outcome for outcome in stages.all()}
    assert len(stages.all()) == len(STAGES)
    assert ended.keys() == set(STAGES)
    assert ended["plan"].status == "done"
    assert (ended["bench"].status, ended["bench"].summary) == ("skipped", "smoke failed")
    assert ended["bench"] in audience.told
    assert (ended["gate"].status, ended["gate"].summary) == ("skipped", "not reached")
    assert ended["gate"] not in audience.told, "what was not reached is no news"
