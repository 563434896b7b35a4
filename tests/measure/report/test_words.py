import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.measure.report import words


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "\N{EN DASH}"), (0, "0"), (0.4567, "0.46"), (9.897, "9.90"), (9.999, "10.00"),
     (12.34, "12.3"), (345.6, "346"), (3482.4, "3,482"), (0.0123, "0.012")],
)  # fmt: skip
def test_numbers_have_about_three_digits(value: float | None, text: str):
    assert words.number(value) == text


@given(st.floats(min_value=1e-6, max_value=1e9))
def test_a_shown_number_is_within_six_percent_of_the_true_one(value: float):
    assert float(words.number(value).replace(",", "")) == pytest.approx(value, rel=0.06)


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.00 KiB"), (3_455_096, "3.30 MiB"),
     (24 * 2**30, "24.0 GiB"), (5000 * 2**30, "5,000 GiB")],
)  # fmt: skip
def test_sizes_are_in_binary_units(size_bytes: int, text: str):
    assert words.size(size_bytes) == text


def test_an_interval_that_is_none_shows_nothing():
    assert words.interval(None, 1.0) == words.interval(1.0, 1.0) == ""
    assert words.interval(1.0, 2.5) == "1.00 to 2.50"
