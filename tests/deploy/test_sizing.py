from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.deploy.sizing import (
    DEFAULT_CONTEXT,
    LEAST_CONTEXT,
    Sizing,
    choose_sizing,
    nearest_sizings,
)

LONGEST = 262144


def holds(tokens: int) -> Callable[[Sizing], bool]:
    """Memory for so many tokens in all."""
    return lambda sizing: sizing.slots * sizing.context <= tokens


def test_with_room_enough_the_defaults_are_chosen():
    assert choose_sizing(None, None, LONGEST, holds(10**9)) == Sizing(4, DEFAULT_CONTEXT)


def test_a_short_model_is_used_whole():
    assert choose_sizing(None, None, 3000, holds(10**9)) == Sizing(4, 3000)
    assert choose_sizing(None, None, 1000, holds(10**9)) == Sizing(4, 1000)


def test_context_gives_way_before_slots_and_slots_before_uselessness():
    assert choose_sizing(None, None, LONGEST, holds(4 * 8192)) == Sizing(4, 8192)
    assert choose_sizing(None, None, LONGEST, holds(4 * 20000)) == Sizing(4, 16384)
    assert choose_sizing(None, None, LONGEST, holds(2 * 3000)) == Sizing(2, LEAST_CONTEXT)
    assert choose_sizing(None, None, LONGEST, holds(3000)) == Sizing(1, LEAST_CONTEXT)
    assert choose_sizing(None, None, LONGEST, holds(1000)) is None


def test_wishes_are_kept_or_nothing_is_chosen():
    assert choose_sizing(3, 5000, LONGEST, holds(15000)) == Sizing(3, 5000)
    assert choose_sizing(3, 5000, LONGEST, holds(14999)) is None
    assert choose_sizing(None, 100_000, LONGEST, holds(250_000)) == Sizing(2, 100_000)


def test_nearest_names_shorter_context_and_fewer_slots():
    found = nearest_sizings(Sizing(8, 262144), holds(1_100_000))
    assert found == (Sizing(8, 131072), Sizing(4, 262144))


def test_nearest_gives_both_up_when_either_alone_does_not_do():
    assert nearest_sizings(Sizing(4, 8192), holds(300)) == (Sizing(1, 256),)
    assert nearest_sizings(Sizing(4, 8192), holds(100)) == ()


@given(
    slots=st.integers(1, 64), context=st.integers(1, LONGEST), tokens=st.integers(0, 64 * LONGEST)
)
def test_what_is_named_fits_and_is_less_than_wanted(slots: int, context: int, tokens: int):
    wanted, fits = Sizing(slots, context), holds(tokens)
    for sizing in nearest_sizings(wanted, fits):
        assert fits(sizing)
        assert sizing.slots <= wanted.slots
        assert sizing.context <= wanted.context
        assert sizing != wanted


def test_options_can_be_pasted():
    assert Sizing(2, 32768).as_options() == "--context 32768 --slots 2"
