import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.measure.report.plots.ecdf import ecdf
from trt_nemotron.measure.report.plots.scale import Scale, axis_for
from trt_nemotron.measure.report.plots.stack import Part, stack
from trt_nemotron.measure.report.plots.sweep import SweepPoint, sweep


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text)


LATENCY = st.integers(0, 10**13).map(lambda nanoseconds: nanoseconds / 1e6)


@given(st.lists(LATENCY, min_size=1, max_size=50))
def test_every_value_lies_on_its_axis(values: list[float]):
    axis = axis_for(values, 10.0, 300.0)
    assert all(10.0 - 1e-6 <= axis.place(value) <= 300.0 + 1e-6 for value in values)
    assert axis.high >= max(values) * (1 - 1e-9)
    ticks = axis.ticks()
    assert 2 <= len(ticks) <= 24
    assert list(ticks) == sorted(ticks)


@given(st.lists(LATENCY, min_size=2, max_size=30))
def test_a_larger_value_is_never_drawn_before_a_smaller(values: list[float]):
    axis = axis_for(values, 0.0, 100.0)
    places = [axis.place(value) for value in sorted(values)]
    assert all(a <= b + 1e-9 for a, b in pairwise(places))


def test_a_wide_spread_is_drawn_on_a_logarithmic_axis():
    assert axis_for([0.4, 0.5, 100.0], 0, 1).is_log
    assert not axis_for([6.0, 8.0, 25.0], 0, 1).is_log
    assert axis_for([6.0, 8.0, 25.0], 0, 1).low == 0.0


def test_ticks_are_round():
    assert Scale(0, 30, 0, 1).ticks() == (0, 5, 10, 15, 20, 25, 30)
    assert Scale(0.2, 10, 0, 1, is_log=True).ticks() == pytest.approx((0.2, 0.5, 1, 2, 5, 10))


@given(st.dictionaries(st.integers(1, 64), st.lists(LATENCY, max_size=400), max_size=5))
def test_any_samples_can_be_drawn(samples: dict[int, list[float]]):
    root = parsed(ecdf(samples, "gap"))
    curves = [e for e in root.iter("path") if "curve" in e.get("class", "")]
    assert len(curves) == sum(bool(values) for values in samples.values())
    assert "nan" not in ET.tostring(root, encoding="unicode")


def test_a_curve_climbs_from_nothing_to_all():
    root = parsed(ecdf({1: [float(n) for n in range(1000)]}, "TTFT"))
    path = next(e for e in root.iter("path")).get("d", "")
    heights = [float(y) for _, y in re.findall(r"([\d.]+) ([\d.]+)", path)]
    assert heights == sorted(heights, reverse=True)
    assert len(heights) < 600
    assert heights[0] == 210.0
    assert heights[-1] == 30.0


def test_percentiles_are_marked_only_where_samples_suffice():
    def marked(count: int) -> int:
        root = parsed(ecdf({1: [float(n) for n in range(count)]}, "TTFT"))
        return sum("dot" in e.get("class", "") for e in root.iter("circle"))

    assert [marked(count) for count in (6, 7, 44, 459)] == [0, 1, 2, 3]


def test_medians_stand_between_their_limits():
    root = parsed(sweep([SweepPoint(1, 8.0, 6.0, 9.0), SweepPoint(4, 9.0, 9.0, 9.0)], "TTFT"))
    whiskers = next(e for e in root.iter("line") if e.get("class") == "whisker")
    dot = next(e for e in root.iter("circle"))
    high, low = sorted(float(whiskers.get(key, "")) for key in ("y1", "y2"))
    assert high < float(dot.get("cy", "")) < low


def test_parts_fill_the_bar_by_their_shares():
    root = parsed(stack([Part("a<b", 3, "3 B", "m0"), Part("c", 1, "1 B", "m1")], "all"))
    widths = [float(e.get("width", "")) for e in root.iter("rect")]
    assert widths == [600, 200]
    assert next(root.iter("title")).text == "a<b: 3 B"
