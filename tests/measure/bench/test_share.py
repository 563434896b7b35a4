"""What is dealt to workers goes to exactly one of them, in proportion to its streams."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.measure.bench.share import WHOLE, deal


@given(
    streams=st.integers(1, 40),
    workers=st.integers(1, 12),
    numbers=st.integers(0, 200),
    is_closed=st.booleans(),
)
def test_each_number_is_one_workers(streams: int, workers: int, numbers: int, is_closed: bool):
    shares = deal(streams, workers, is_closed=is_closed)
    dealt = [share.number(place) for share in shares for place in range(share.count(numbers))]
    assert sorted(dealt) == list(range(numbers))


@given(streams=st.integers(1, 40), workers=st.integers(1, 12))
def test_no_worker_is_without_a_stream(streams: int, workers: int):
    assert len(deal(streams, workers, is_closed=True)) == min(streams, workers)


@pytest.mark.parametrize(("is_closed", "expected"), [(True, [20, 10]), (False, [15, 15])])
def test_a_closed_loop_deals_by_streams_and_an_open_one_evenly(
    is_closed: bool, expected: list[int]
):
    shares = deal(3, 2, is_closed=is_closed)
    assert [share.count(30) for share in shares] == expected


def test_without_workers_all_is_ones_own():
    assert WHOLE.count(7) == 7
    assert [WHOLE.number(place) for place in range(4)] == [0, 1, 2, 3]
