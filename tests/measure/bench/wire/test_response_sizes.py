"""How large a response will probably be."""

from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.measure.bench.wire.response_sizes import ResponseSizes


def test_nothing_is_expected_before_the_first_response():
    assert ResponseSizes().expected == 0


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=200))
def test_at_most_one_response_in_ten_is_shorter_than_expected(seen: list[int]):
    sizes = ResponseSizes()
    for size in seen:
        sizes.add(size)
    assert sizes.expected in seen
    assert sum(size < sizes.expected for size in seen) <= len(seen) / 10


def test_only_the_first_thousands_are_kept():
    sizes = ResponseSizes()
    for _ in range(4096):
        sizes.add(7)
    for _ in range(4096):
        sizes.add(1)
    assert sizes.expected == 7
