import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.deploy.roofline import (
    LEAST_WEIGHT_BYTES,
    LOWEST_PUBLISHED_SHARE,
    Roofline,
    concurrencies_up_to,
    contexts_up_to,
    draw_roofline,
)
from trt_nemotron.facts.catalogue import load_model, load_target

F32_STATE, F16_STATE = 83_801_088, 42_513_408
# Tokens a second at a context of 2,048 with an FP8 KV cache: a published table, worked out apart.
PUBLISHED_CEILINGS = [
    ("spark", 7.12e9, F32_STATE, {1: 37, 8: 254, 32: 671, 64: 923}),
    ("spark", 7.12e9, F16_STATE, {64: 1281}),
    ("thor", 4.46e9, F32_STATE, {1: 59, 8: 368, 32: 843, 64: 1074}),
    ("thor", 4.46e9, F16_STATE, {64: 1592}),
    ("h100-pcie", 4.46e9, F32_STATE, {1: 431, 8: 2696, 32: 6177, 64: 7872}),
    ("h100-pcie", 4.46e9, F16_STATE, {64: 11662}),
    ("h100-sxm", 7.12e9, F32_STATE, {1: 458, 8: 3117, 32: 8231, 64: 11329}),
    ("h100-sxm", 7.12e9, F16_STATE, {64: 15719}),
    ("h100-sxm", 4.46e9, F32_STATE, {1: 721, 8: 4515, 32: 10347, 64: 13185}),
    ("h100-sxm", 4.46e9, F16_STATE, {64: 19533}),
    ("h100-nvl", 4.46e9, F32_STATE, {1: 840, 8: 5256, 32: 12045, 64: 15350}),
    ("h100-nvl", 4.46e9, F16_STATE, {64: 22740}),
]
MEASUREMENTS = load_model("nemotron-3-nano-4b").measurements
sizes = st.integers(1, 10**11)
counts = st.integers(1, 4096)


def roofline(weights: int = 7_125_030_080, state: int = F32_STATE, kv: int = 16384) -> Roofline:
    return Roofline(
        bandwidth_gb_s=273.0, weight_bytes=weights, state_bytes=state, kv_token_bytes=kv
    )


@pytest.fixture(scope="module")
def page(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "write_rooflines", repository / "tools" / "write_rooflines.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["write_rooflines"] = module
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(repository / "tools"))
        spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("target", "weights", "state", "ceilings"), PUBLISHED_CEILINGS)
def test_ceilings_are_the_published_ones(
    target: str, weights: float, state: int, ceilings: dict[int, int]
):
    gpu = load_target(target).gpu
    assert gpu is not None
    drawn = draw_roofline(
        gpu,
        weight_bytes=int(weights),
        state_bytes=state,
        kv_token_bytes=8192,
        concurrencies=tuple(ceilings),
        contexts=(2048,),
    )
    assert drawn is not None
    for point in drawn.points:
        assert point.most_tokens_s == pytest.approx(ceilings[point.concurrency], rel=0.002, abs=0.6)


@pytest.mark.parametrize(
    "measurement", MEASUREMENTS, ids=lambda it: f"{it.device}-{it.weights}-{it.concurrency}"
)
def test_published_measurements_lie_below(page: ModuleType, measurement: object):
    assert 0.5 < page.share_of(measurement) < 1.0


def test_least_published_share_is_what_plans_expect(page: ModuleType):
    least = min(page.share_of(measurement) for measurement in MEASUREMENTS)
    assert least - 0.01 < LOWEST_PUBLISHED_SHARE <= least


@given(sizes, sizes, st.integers(1, 10**6), counts, st.integers(1, 300_000))
def test_step_is_bytes_over_bandwidth(
    weights: int, state: int, kv: int, concurrency: int, context: int
):
    roof = roofline(weights, state, kv)
    moved = weights + sum(state + state + context * kv for _ in range(min(concurrency, 50)))
    if concurrency <= 50:
        seconds = moved / 273e9
        assert roof.least_step_ms(concurrency, context) == pytest.approx(seconds * 1e3)
        assert roof.most_tokens_s(concurrency, context) == pytest.approx(concurrency / seconds)


@given(counts, counts, st.integers(1, 300_000), st.integers(1, 300_000))
def test_more_sequences_and_longer_ones_take_longer(some: int, others: int, short: int, long: int):
    roof = roofline()
    few, many = sorted((some, others))
    short, long = sorted((short, long))
    assert roof.least_step_ms(few, short) <= roof.least_step_ms(many, short)
    assert roof.least_step_ms(few, short) <= roof.least_step_ms(few, long)
    assert roof.most_tokens_s(few, short) <= roof.most_tokens_s(many, short)


@given(counts, st.integers(1, 300_000))
def test_points_are_rounded_towards_what_is_possible(concurrency: int, context: int):
    roof = roofline()
    point = roof.point(concurrency, context)
    step, rate = roof.least_step_ms(concurrency, context), roof.most_tokens_s(concurrency, context)
    assert step - 0.0011 <= point.least_step_ms <= step
    assert rate <= point.most_tokens_s <= rate + 0.0101


def test_nothing_bounds_weights_that_a_cache_may_hold():
    gpu = load_target("h100-sxm").gpu
    assert gpu is not None
    for weights, is_drawn in ((LEAST_WEIGHT_BYTES - 1, False), (LEAST_WEIGHT_BYTES, True)):
        drawn = draw_roofline(
            gpu, weight_bytes=weights, state_bytes=1, kv_token_bytes=1,
            concurrencies=(1,), contexts=(1,),
        )  # fmt: skip
        assert (drawn is not None) is is_drawn


def test_points_reach_the_largest_batch_and_length():
    assert concurrencies_up_to(1) == (1,)
    assert concurrencies_up_to(24) == (1, 2, 4, 8, 16, 24)
    assert concurrencies_up_to(32) == (1, 2, 4, 8, 16, 32)
    assert contexts_up_to(1024) == (1024,)
    assert contexts_up_to(32768) == (2048, 8192, 32768)
    assert contexts_up_to(100_000) == (2048, 8192, 32768, 100_000)
