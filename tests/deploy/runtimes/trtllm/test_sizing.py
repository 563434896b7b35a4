"""What fits is chosen, what does not is refused, and the refusal's advice works."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.trtllm.ledger import Caps, Sizes, graph_sizes, ledger
from trt_nemotron.deploy.runtimes.trtllm.situation import Situation
from trt_nemotron.deploy.runtimes.trtllm.sizing import Asked, choose_sizes, fit, planned_caps
from trt_nemotron.errors import PlanRefused

MakePlan = Callable[..., Plan]
MakeSituation = Callable[..., Situation]
PLACES = [
    ("h100-sxm", "1.3.0rc6"),
    ("h100-nvl", "1.4.0rc1"),
    ("spark", "1.3.0rc14"),
    ("spark", "1.4.0rc1"),
]


def shaped(batch: int, seq_len: int) -> Sizes:
    return Sizes(batch, seq_len, max(8192, batch), graph_sizes(batch, has_padding=True))


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(PLACES), st.integers(1, 1024), st.integers(32, 262_144))
def test_what_fits_has_room_for_itself(
    situation: MakeSituation, place: tuple[str, str], batch: int, seq_len: int
):
    at = situation(place[0], release=place[1])
    found = fit(at, shaped(batch, seq_len), None)
    if found is None:
        return
    assert 1 <= found.full_sequences <= batch
    assert found.tokens >= at.kv_tokens(found.full_sequences, seq_len)
    if found.full_sequences < batch:
        assert found.tokens < at.kv_tokens(batch, seq_len)
    assert ledger(at, found.sizes, found.caps).headroom_bytes >= 0
    assert (found.caps.fraction or 0) <= 0.70


@settings(deadline=None, max_examples=25)
@given(
    st.sampled_from(PLACES), st.integers(1, 1024), st.integers(1, 1024), st.integers(32, 262_144)
)
def test_what_fits_for_more_fits_for_fewer(
    situation: MakeSituation, place: tuple[str, str], some: int, others: int, seq_len: int
):
    at = situation(place[0], release=place[1])
    few, many = sorted((some, others))
    if fit(at, shaped(many, seq_len), None) is not None:
        assert fit(at, shaped(few, seq_len), None) is not None


def test_fraction_is_the_least_step_with_a_tenth_to_spare(situation: MakeSituation):
    at = situation()
    for batch, seq_len in ((1, 64), (8, 32768), (32, 32768)):
        caps = planned_caps(at, shaped(batch, seq_len))
        assert caps.fraction is not None
        assert round(caps.fraction * 100) % 5 == 0
        found = fit(at, shaped(batch, seq_len), caps)
        assert found is not None
        assert found.tokens >= at.kv_tokens(batch, seq_len) * 1.1
        less = fit(at, shaped(batch, seq_len), Caps(fraction=caps.fraction - 0.05))
        assert less is None or less.tokens < at.kv_tokens(batch, seq_len) * 1.1


def test_length_gives_way_before_the_batch(situation: MakeSituation):
    asked = Asked(batch=None, seq_len=None, caps=None, most_batch=128)
    found = choose_sizes(situation(), asked, shaped)
    assert (found.sizes.batch, found.sizes.seq_len) == (128, 16384)
    asked = Asked(batch=None, seq_len=262_144, caps=None, most_batch=32)
    found = choose_sizes(situation(), asked, shaped)
    assert (found.sizes.batch, found.sizes.seq_len) == (8, 262_144)


def test_more_than_fits_at_full_length_is_accepted_with_a_warning(make_plan: MakePlan):
    made = make_plan(max_concurrency=32, max_seq_len=262_144)
    assert made.int_choice("max_batch_size") == 32
    full = made.ledger.line("kv_cache").size_bytes // (262_144 * 16384)
    assert 1 < full < 32
    assert any(f"{full} of 32 sequences" in warning for warning in made.warnings)


def test_default_batch_of_the_server_is_refused_and_the_advice_works(make_plan: MakePlan):
    with pytest.raises(PlanRefused, match="2048 sequences") as fault:
        make_plan(max_concurrency=2048, max_seq_len=4096)
    assert "ssm_state 157.50 GiB" in fault.value.evidence
    advice = re.search(r"--max-concurrency (\d+) --max-seq-len 4096", fault.value.next_step)
    assert advice is not None
    most = int(advice.group(1))
    assert make_plan(max_concurrency=most, max_seq_len=4096).ledger.headroom_bytes >= 0
    with pytest.raises(PlanRefused):
        make_plan(max_concurrency=most + 1, max_seq_len=4096)


def test_limit_too_small_for_one_sequence_is_refused_with_a_length_that_fits(make_plan: MakePlan):
    limit = "kv_cache_config.max_tokens=4096"
    with pytest.raises(PlanRefused) as fault:
        make_plan(max_seq_len=32768, settings=(limit,))
    advice = re.search(r"--max-concurrency 1 --max-seq-len (\d+)", fault.value.next_step)
    assert advice is not None
    length = int(advice.group(1))
    assert make_plan(max_concurrency=1, max_seq_len=length, settings=(limit,))
    with pytest.raises(PlanRefused):
        make_plan(max_concurrency=1, max_seq_len=length + 1, settings=(limit,))


def test_absurd_numbers_are_refused_at_once(make_plan: MakePlan):
    with pytest.raises(PlanRefused):
        make_plan(max_concurrency=10**9)
