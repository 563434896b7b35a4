"""The ledger to the byte where it says exact, and growing where it has to grow."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trt_nemotron.deploy.runtimes.trtllm.ledger import (
    Caps,
    Sizes,
    free_bytes,
    graph_sizes,
    ledger,
    pool_bytes,
    pool_tokens,
)
from trt_nemotron.deploy.runtimes.trtllm.situation import Situation

MakeSituation = Callable[..., Situation]
SLOT = 21 * (96 * 80 * 128 * 4 + 9728 * 3 * 2)
HALF_SLOT = 21 * (96 * 80 * 128 * 2 + 9728 * 3 * 2)


def sizes(batch: int, seq_len: int = 4096, step_tokens: int = 8192) -> Sizes:
    return Sizes(batch, seq_len, max(step_tokens, batch), graph_sizes(batch, has_padding=True))


@pytest.mark.parametrize(("release", "spare"), [("1.3.0rc6", 0), ("1.3.0rc14", 1), ("1.4.0rc1", 1)])
@pytest.mark.parametrize("batch", [1, 32, 128, 2048])
def test_states_have_the_dummy_slot_of_their_release(
    situation: MakeSituation, release: str, spare: int, batch: int
):
    at = situation(release=release)
    bill = ledger(at, sizes(batch), Caps(tokens=1024))
    states = bill.line("ssm_state").size_bytes + bill.line("conv_state").size_bytes
    assert states == (batch + spare) * SLOT
    assert at.state_bytes == SLOT == 83_801_088


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "auto"])
def test_small_states_take_half(situation: MakeSituation, dtype: str):
    assert situation(state_dtype=dtype).state_bytes == HALF_SLOT == 42_513_408


@pytest.mark.parametrize(
    ("form", "dtype", "bytes_per_token"),
    [
        ("bf16", "auto", 16384), ("fp8", "auto", 8192), ("bf16", "fp8", 8192),
        ("bf16", "nvfp4", 4608), ("bf16", "bfloat16", 16384), ("bf16", "float32", 32768),
    ],
)  # fmt: skip
def test_kv_bytes_of_a_token(situation: MakeSituation, form: str, dtype: str, bytes_per_token: int):
    assert situation(form=form, kv_dtype=dtype).kv_token_bytes == bytes_per_token


def test_smallest_limit_counts(situation: MakeSituation):
    at, of = situation(), sizes(8)
    tenth = int(free_bytes(at, of) * 0.1)
    assert pool_bytes(at, of, Caps(fraction=0.1)) == tenth
    assert pool_bytes(at, of, Caps(fraction=0.1, tokens=64)) == 64 * 16384
    assert pool_bytes(at, of, Caps(tokens=10**9)) == int(free_bytes(at, of) * 0.9)
    assert pool_tokens(at, of, Caps(pool_bytes=16384 * 5 + 1)) == 5


def test_states_take_from_a_pool_that_they_share(situation: MakeSituation):
    at, of = situation(release="1.4.0rc1"), sizes(8)
    assert pool_tokens(at, of, Caps(pool_bytes=9 * SLOT + 16384 * 7)) == 7
    assert pool_tokens(at, of, Caps(pool_bytes=8 * SLOT)) < 0
    assert pool_tokens(at, of, Caps(tokens=64)) == 64


def test_lines_beside_the_pool_are_marked_assumed(situation: MakeSituation):
    bill = ledger(situation("spark"), sizes(8), Caps(tokens=4096))
    assumed = {line.name for line in bill.lines if line.status == "assumed"}
    assert assumed == {
        "weights", "workspace", "cuda_graphs", "autotuner", "page_cache", "processes", "reserve"
    }  # fmt: skip
    assert {
        line.name for line in ledger(situation(), sizes(8), Caps(tokens=4096)).lines
    }.isdisjoint({"page_cache", "processes"})


def test_what_a_limit_takes_beyond_the_need_is_shown(situation: MakeSituation):
    at, of = situation(), sizes(8)
    bill = ledger(at, of, Caps(fraction=0.5))
    need = at.kv_tokens(8, 4096) * at.kv_token_bytes
    assert bill.line("kv_cache").size_bytes == need
    assert bill.line("kv_spare").size_bytes == int(free_bytes(at, of) * 0.5) - need


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 512), st.integers(1, 512), st.integers(64, 262_144), st.integers(64, 262_144))
def test_more_sequences_and_longer_ones_never_take_less(
    situation: MakeSituation, some: int, others: int, short: int, long: int
):
    few, many = sorted((some, others))
    short, long = sorted((short, long))
    for target, release in (("h100-sxm", "1.3.0rc6"), ("spark", "1.4.0rc1")):
        at = situation(target, release=release)

        assert at.kv_tokens(few, short) <= at.kv_tokens(many, short) <= at.kv_tokens(many, long)
        assert free_bytes(at, sizes(many, long)) <= free_bytes(at, sizes(few, short))
        for line in ("ssm_state", "conv_state", "workspace", "cuda_graphs"):
            less = ledger(at, sizes(few, short), Caps()).line(line).size_bytes
            assert less <= ledger(at, sizes(many, long), Caps()).line(line).size_bytes
