from pathlib import Path

import msgspec
import pytest

from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.bench.figures.summary import Slo
from trt_nemotron.measure.gate.budget import (
    AbsoluteBound,
    Budget,
    RelativeBound,
    check_budget,
    default_budget,
    find_budget,
    read_budget,
)

HEAD = "schema: trt-nemotron/budget/1\ntarget: cpu\n"


def read(folder: Path, text: str) -> Budget:
    path = folder / "budget.yaml"
    path.write_text(HEAD + text)
    return read_budget(path)


def bound(line: str) -> str:
    return f"bounds:\n  - {{{line}}}\n"


def test_a_whole_budget_is_read(tmp_path: Path):
    budget = read(
        tmp_path,
        bound("metric: tpot_p50_ms, concurrency: 1, at_most: 5")
        + "relative:\n  - {metric: ttft_p50_ms, concurrency: 4, worse_by_at_most_percent: 10}\n"
        "smoke: {required: true}\nminimum_samples: 24\nslo: {ttft_ms: 100}\n"
        "workload: {output_tokens: 64}\n",
    )
    assert budget.bounds == (AbsoluteBound(metric="tpot_p50_ms", concurrency=1, at_most=5.0),)
    assert budget.relative[0].worse_by_at_most_percent == 10.0
    assert budget.smoke.required
    assert budget.minimum_samples == 24
    assert budget.workload.output_tokens == 64


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("metric: tpot_p50_ms, concurrency: 1, at_least: 5", "at_most"),
        ("metric: tokens_per_s, concurrency: 1, at_most: 5", "at_least"),
        ("metric: tpot_p50_ms, concurrency: 1, at_most: 5, at_least: 1", "at_most"),
        ("metric: tpot_p50_ms, concurrency: 1", "at_most"),
        ("metric: tpot_p50_s, concurrency: 1, at_most: 5", "tpot_p50_ms"),
    ],
)
def test_wrong_direction_or_unit_is_refused_with_the_right_one(
    tmp_path: Path, line: str, hint: str
):
    with pytest.raises(InvalidInput) as caught:
        read(tmp_path, bound(line))
    assert hint in caught.value.next_step


@pytest.mark.parametrize("value", [".nan", ".inf", "-1", "-.inf"])
@pytest.mark.parametrize("key", ["metric: tpot_p50_ms, at_most", "metric: tokens_per_s, at_least"])
def test_a_bound_that_nothing_could_miss_is_refused(tmp_path: Path, key: str, value: str):
    with pytest.raises(InvalidInput, match="no bound"):
        read(tmp_path, bound(f"{key}: {value}, concurrency: 1"))


def test_at_least_nothing_is_refused_and_no_errors_at_all_is_not(tmp_path: Path):
    with pytest.raises(InvalidInput, match="no bound"):
        read(tmp_path, bound("metric: tokens_per_s, concurrency: 1, at_least: 0"))
    read(tmp_path, bound("metric: error_share, concurrency: 1, at_most: 0"))


@pytest.mark.parametrize(("limit", "is_good"), [("0.01", True), ("1", False), ("5", False)])
def test_a_share_in_percent_is_refused(tmp_path: Path, limit: str, is_good: bool):
    text = bound(f"metric: error_share, concurrency: 1, at_most: {limit}")
    if is_good:
        assert read(tmp_path, text).bounds[0].limit == 0.01
    else:
        with pytest.raises(InvalidInput, match="share of one"):
            read(tmp_path, text)


@pytest.mark.parametrize("text", ["", "smoke: {required: false}\n", "bounds: []\n"])
def test_a_budget_that_bounds_nothing_is_refused(tmp_path: Path, text: str):
    with pytest.raises(InvalidInput, match="bounds nothing"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        "smoke: {required: true}\n",
        "relative:\n  - {metric: ttft_p50_ms, concurrency: 1, worse_by_at_most_percent: 5}\n",
        "bounds:\n  - {metric: ttft_p50_ms, concurrency: 1, at_most: 5}\n",
    ],
)
def test_one_thing_to_judge_is_enough(tmp_path: Path, text: str):
    assert read(tmp_path, text).target == "cpu"


def test_the_same_figure_bounded_twice_is_refused():
    low, high = (AbsoluteBound(metric="tpot_p50_ms", concurrency=1, at_most=x) for x in (1.0, 2.0))
    other = AbsoluteBound(metric="tpot_p50_ms", concurrency=4, at_most=1.0)
    check_budget(Budget(target="cpu", bounds=(low, other)), origin="b")
    with pytest.raises(InvalidInput, match="bounded 2 times"):
        check_budget(Budget(target="cpu", bounds=(low, high)), origin="b")
    twin = RelativeBound(metric="tpot_p50_ms", concurrency=1, worse_by_at_most_percent=5.0)
    with pytest.raises(InvalidInput, match="bounded 2 times"):
        check_budget(Budget(target="cpu", relative=(twin, twin)), origin="b")
    check_budget(Budget(target="cpu", bounds=(low,), relative=(twin,)), origin="b")


@pytest.mark.parametrize("name", ["ttft_p99_ms", "tpot_p90_ms", "tokens_per_s", "error_share"])
def test_only_medians_can_be_bounded_relatively(name: str):
    bad = RelativeBound(metric=name, concurrency=1, worse_by_at_most_percent=5.0)
    with pytest.raises(InvalidInput, match="relative to a baseline"):
        check_budget(Budget(target="cpu", relative=(bad,)), origin="b")


@pytest.mark.parametrize(
    ("percent", "is_good"),
    [(3.0, True), (2.9, False), (0.05, False), (-5.0, False), (999.0, True), (1000.0, False),
     (float("nan"), False)],
)  # fmt: skip
def test_a_percentage_has_a_floor_and_a_ceiling(percent: float, is_good: bool):
    relative = RelativeBound(metric="tpot_p50_ms", concurrency=1, worse_by_at_most_percent=percent)
    budget = Budget(target="cpu", relative=(relative,))
    if is_good:
        check_budget(budget, origin="b")
    else:
        with pytest.raises(InvalidInput, match="cannot be judged"):
            check_budget(budget, origin="b")


def test_goodput_needs_an_slo():
    bounds = (AbsoluteBound(metric="goodput_rps", concurrency=1, at_least=1.0),)
    for slo in (None, Slo()):
        with pytest.raises(InvalidInput, match="SLO"):
            check_budget(Budget(target="cpu", bounds=bounds, slo=slo), origin="b")
    check_budget(Budget(target="cpu", bounds=bounds, slo=Slo(ttft_ms=0.9)), origin="b")


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf")])
def test_an_slo_is_a_positive_number(limit: float):
    bounds = (AbsoluteBound(metric="tpot_p50_ms", concurrency=1, at_most=1.0),)
    with pytest.raises(InvalidInput, match="positive"):
        check_budget(Budget(target="cpu", bounds=bounds, slo=Slo(e2e_ms=limit)), origin="b")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("boundz: []\n", "bounds"),
        ("minimum_sample: 3\n", "minimum_samples"),
        (bound("metric: tpot_p50_ms, concurrency: 1, at_mots: 5"), "at_most"),
        ("smoke: {require: true}\n", "required"),
    ],
)
def test_an_unknown_key_names_the_nearest(tmp_path: Path, text: str, hint: str):
    with pytest.raises(InvalidInput) as caught:
        read(tmp_path, text)
    assert hint in caught.value.next_step


@pytest.mark.parametrize(
    "text",
    [
        bound("metric: tpot_p50_ms, concurrency: 0, at_most: 5"),
        bound("metric: tpot_p50_ms, concurrency: 1, at_most: '5 ms'"),
        "minimum_samples: 0\nsmoke: {required: true}\n",
        "schema: trt-nemotron/measurement/1\n",
        "bounds: 3\n",
        "[",
    ],
)
def test_a_wrong_value_is_refused(tmp_path: Path, text: str):
    with pytest.raises(InvalidInput):
        read(tmp_path, text)


def test_smallest_samples_and_concurrency_are_one(tmp_path: Path):
    text = bound("metric: tpot_p50_ms, concurrency: 1, at_most: 5") + "minimum_samples: 1\n"
    assert read(tmp_path, text).minimum_samples == 1


def test_a_rate_may_be_less_than_one_request_a_second_and_not_none(tmp_path: Path):
    line = "metric: tpot_p50_ms, at_most: 5, rate_rps: {}"
    assert read(tmp_path, bound(line.format(0.25))).bounds[0].rate_rps == 0.25
    with pytest.raises(InvalidInput):
        read(tmp_path, bound(line.format(0)))


@pytest.mark.parametrize("key", ["input_tokens", "output_tokens"])
def test_the_workload_may_be_left_open(key: str):
    assert getattr(Budget(target="cpu").workload, key) is None


def test_the_shipped_budget_is_found_by_its_target(repository: Path):
    for path in sorted((repository / "ci" / "budgets").glob("*.yaml")):
        target = read_budget(path).target
        assert path.stem == target or path.stem.startswith(f"{target}-")


def test_a_target_is_found_by_its_name_and_the_nearest_is_named():
    assert find_budget("cpu").target == "cpu"
    with pytest.raises(InvalidInput) as caught:
        find_budget("cpuu")
    assert caught.value.next_step == "Did you mean cpu?"
    with pytest.raises(InvalidInput) as caught:
        find_budget("another")
    assert "Did you mean" not in caught.value.next_step


def test_what_is_not_said_has_the_documented_default(tmp_path: Path):
    budget = read(tmp_path, "smoke: {required: true}\n")
    assert budget.minimum_samples == 10
    assert budget.workload.cached_share_at_most == 0.1
    assert not Budget(target="cpu").smoke.required


def test_a_share_may_be_small(tmp_path: Path):
    text = "smoke: {required: true}\nworkload: {cached_share_at_most: 0.0}\n"
    assert read(tmp_path, text).workload.cached_share_at_most == 0.0


def test_a_file_is_found_by_its_path(tmp_path: Path):
    read(tmp_path, "smoke: {required: true}\n")
    assert find_budget(str(tmp_path / "budget.yaml")).target == "cpu"
    odd = tmp_path / "without-suffix"
    odd.write_bytes(msgspec.json.encode({"target": "cpu", "smoke": {"required": True}}))
    assert find_budget(str(odd)).smoke.required
    with pytest.raises(InvalidInput, match="cannot read"):
        find_budget(str(tmp_path / "missing.yaml"))


def test_runtime_with_a_budget_of_its_own_is_judged_by_that():
    assert default_budget("cpu", "transformers") == find_budget("cpu-transformers")
    assert default_budget("cpu", "llamacpp") == default_budget("cpu", None) == find_budget("cpu")
    with pytest.raises(InvalidInput):
        default_budget("toaster", None)
