"""What a loop asks of the interpreter while it runs, and what it finds again afterwards."""

import gc
import weakref

import pytest

from trt_nemotron.measure.bench.wire.undisturbed import undisturbed


class _Ring:
    """Holds itself: only a collection takes it away."""

    def __init__(self) -> None:
        self.itself = self


def test_nothing_is_collected_while_it_runs_and_again_afterwards() -> None:
    with undisturbed():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


@pytest.mark.parametrize("is_short", [False, True])
def test_what_was_left_behind_is_collected_before_a_long_loop_and_not_before_a_short_one(
    is_short: bool,
) -> None:
    gc.collect()
    gc.disable()
    try:
        left = weakref.ref(_Ring())
        with undisturbed(is_short=is_short):
            assert (left() is None) is not is_short
    finally:
        gc.enable()
        gc.collect()
    assert left() is None
