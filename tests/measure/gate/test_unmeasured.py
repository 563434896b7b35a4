"""A target that nobody has measured: judged by all that needs no figure, and never a pass."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from trt_nemotron.cli.main import run
from trt_nemotron.document import write_document
from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.bench.replay import write_measurement
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.gate.budget import (
    AbsoluteBound,
    Budget,
    RelativeBound,
    check_budget,
    default_budget,
    find_budget,
    read_budget,
)
from trt_nemotron.measure.gate.judge import judge
from trt_nemotron.measure.gate.outcome import headline
from trt_nemotron.measure.gate.values import PhysicalLimit, Verdict
from trt_nemotron.measure.smoke.values import SmokeReport

MakeRun = Callable[..., Measurement]
MakeSmoke = Callable[..., SmokeReport]

BOARDS = ("h100-nvl", "h100-pcie", "h100-sxm", "spark", "thor")
WORDS = "unmeasured: no figure for this board has been taken"
NO_BASELINE = 5
BOUND = "bounds:\n  - {metric: tpot_p50_ms, concurrency: 1, at_most: 5}\n"


def on(target: str, measurement: Measurement) -> Measurement:
    environment = msgspec.structs.replace(measurement.environment, target=target)
    return msgspec.structs.replace(measurement, environment=environment)


def verdict_of(run: Measurement, smoke: SmokeReport | None, **more: object) -> Verdict:
    return judge(find_budget("spark"), on("spark", run), smoke=smoke, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("board", BOARDS)
def test_every_board_has_a_budget_that_says_so(board: str):
    budget = default_budget(board, "trtllm")
    assert (budget.target, budget.status) == (board, "unmeasured")
    assert budget.smoke.required
    assert budget.bounds == budget.relative == ()


@pytest.mark.parametrize("board", BOARDS)
def test_a_perfect_run_is_no_baseline_and_says_why(
    board: str, make_measurement: MakeRun, make_smoke: MakeSmoke
):
    run = on(board, make_measurement())
    verdict = judge(find_budget(board), run, smoke=make_smoke("pass"))
    assert verdict.decision == "no_baseline"
    assert [it.kind for it in verdict.results] == ["smoke", "unmeasured"]
    assert {(it.direction, it.concurrency) for it in verdict.results} == {("lower_is_better", 0)}
    assert WORDS in headline(verdict)
    assert board in headline(verdict)


def test_smoke_still_fails_it(make_measurement: MakeRun, make_smoke: MakeSmoke):
    assert verdict_of(make_measurement(), make_smoke("pass", "fail")).decision == "fail"
    assert verdict_of(make_measurement(), None).decision == "invalid"


def test_physics_still_invalidates_it(make_measurement: MakeRun, make_smoke: MakeSmoke):
    limit = PhysicalLimit(metric="tpot_p50_ms", concurrency=1, best=17.0, source="roofline")
    verdict = verdict_of(make_measurement(tpot_ms=1.0), make_smoke("pass"), limits=(limit,))
    assert verdict.decision == "invalid"
    assert any("17" in reason for reason in verdict.invalid_reasons)
    slower = verdict_of(make_measurement(tpot_ms=20.0), make_smoke("pass"), limits=(limit,))
    assert slower.decision == "no_baseline"


def test_a_run_of_another_board_is_still_invalid(make_measurement: MakeRun, make_smoke: MakeSmoke):
    verdict = judge(find_budget("spark"), on("thor", make_measurement()), smoke=make_smoke("pass"))
    assert verdict.decision == "invalid"


def test_bounds_beside_the_word_are_refused(tmp_path: Path, repository: Path):
    text = (repository / "ci/budgets/spark.yaml").read_text()
    mine = tmp_path / "my-spark.yaml"
    mine.write_text(text + BOUND)
    with pytest.raises(InvalidInput, match="calls itself unmeasured") as caught:
        read_budget(mine)
    assert "Remove `status: unmeasured`" in caught.value.next_step


def test_one_bound_of_each_kind_beside_the_word_is_two_too_many():
    bounds = (AbsoluteBound(metric="tpot_p50_ms", concurrency=1, at_most=5.0),)
    relative = (RelativeBound(metric="tpot_p50_ms", concurrency=1, worse_by_at_most_percent=5.0),)
    budget = Budget(target="spark", status="unmeasured", bounds=bounds, relative=relative)
    with pytest.raises(InvalidInput, match="calls itself unmeasured") as caught:
        check_budget(budget, origin="here")
    assert "2 bounds" in caught.value.evidence


def test_a_copy_with_bounds_judges_them(
    tmp_path: Path, repository: Path, make_measurement: MakeRun, make_smoke: MakeSmoke
):
    text = (repository / "ci/budgets/spark.yaml").read_text()
    mine = tmp_path / "my-spark.yaml"
    mine.write_text(text.replace("status: unmeasured\n", "") + BOUND)
    run = on("spark", make_measurement())
    assert judge(read_budget(mine), run, smoke=make_smoke("pass")).decision == "pass"


def test_a_budget_without_bounds_must_say_that_it_is_unmeasured():
    verdict_needs = Budget(target="spark")
    with pytest.raises(InvalidInput, match="bounds nothing"):
        judge(verdict_needs, None)  # type: ignore[arg-type]


def test_the_command_ends_with_five_and_every_file_says_why(
    tmp_path: Path,
    make_measurement: MakeRun,
    make_smoke: MakeSmoke,
    capsys: pytest.CaptureFixture[str],
):
    write_measurement(tmp_path / "run.json", on("h100-sxm", make_measurement()))
    write_document(tmp_path / "smoke.json", make_smoke("pass"))
    arguments = ["gate", str(tmp_path / "run.json"), "--smoke", str(tmp_path / "smoke.json")]
    arguments += ["--budget", "h100-sxm", "--out", str(tmp_path / "out"), "--json"]
    assert run(arguments) == NO_BASELINE
    assert json.loads(capsys.readouterr().out)["decision"] == "no_baseline"
    for name in ("verdict.json", "verdict.md", "verdict.junit.xml"):
        assert WORDS in (tmp_path / "out" / name).read_text()
    verdict = str(tmp_path / "out" / "verdict.json")
    page = tmp_path / "page.html"
    assert (
        run(["report", str(tmp_path / "run.json"), "--verdict", verdict, "--out", str(page)]) == 0
    )
    assert "NO BASELINE" in page.read_text()
