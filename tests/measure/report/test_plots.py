import re
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.measure.report.plots import svg
from trt_nemotron.measure.report.plots.course import CourseAxes, CourseChange, CoursePoint, course
from trt_nemotron.measure.report.plots.ecdf import ecdf
from trt_nemotron.measure.report.plots.scale import Scale, axis_for
from trt_nemotron.measure.report.plots.stack import Part, stack
from trt_nemotron.measure.report.plots.sweep import SweepAxes, SweepPoint, sweep


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


@given(
    st.dictionaries(
        st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=60),
        st.lists(LATENCY, max_size=400),
        max_size=5,
    )
)
def test_any_samples_can_be_drawn(samples: dict[str, list[float]]):
    root = parsed(ecdf(samples, "gap"))
    curves = [e for e in root.iter("path") if "curve" in e.get("class", "")]
    assert len(curves) == sum(bool(values) for values in samples.values())
    assert "nan" not in ET.tostring(root, encoding="unicode")


def test_a_curve_climbs_from_nothing_to_all():
    root = parsed(ecdf({"1": [float(n) for n in range(1000)]}, "TTFT"))
    path = next(e for e in root.iter("path")).get("d", "")
    heights = [float(y) for _, y in re.findall(r"([\d.]+) ([\d.]+)", path)]
    assert heights == sorted(heights, reverse=True)
    assert len(heights) < 600
    assert heights[0] == 210.0
    assert heights[-1] == 30.0


def test_percentiles_are_marked_only_where_samples_suffice():
    def marked(count: int) -> int:
        root = parsed(ecdf({"1": [float(n) for n in range(count)]}, "TTFT"))
        return sum("dot" in e.get("class", "") for e in root.iter("circle"))

    assert [marked(count) for count in (6, 7, 44, 459)] == [0, 1, 2, 3]


def test_medians_stand_between_their_limits():
    root = parsed(
        sweep({"": [SweepPoint(1, 8.0, 6.0, 9.0), SweepPoint(4, 9.0, 9.0, 9.0)]}, SweepAxes("TTFT"))
    )
    whiskers = next(e for e in root.iter("line") if "whisker" in e.get("class", ""))
    dot = next(e for e in root.iter("circle"))
    high, low = sorted(float(whiskers.get(key, "")) for key in ("y1", "y2"))
    assert high < float(dot.get("cy", "")) < low


def test_parts_fill_the_bar_by_their_shares():
    root = parsed(stack([Part("a<b", 3, "3 B", "m0"), Part("c", 1, "1 B", "m1")], "all"))
    widths = [float(e.get("width", "")) for e in root.iter("rect")]
    assert widths == [600, 200]
    assert next(root.iter("title")).text == "a<b: 3 B"


@given(st.lists(st.text(min_size=1, max_size=90), min_size=1, max_size=8, unique=True))
def test_a_legend_stays_within_its_drawing(names: list[str]):
    frame = svg.Frame()
    root = svg.drawing(frame, "x")
    svg.add_legend(root, frame, "streams", names)
    lines = list(root.iter("line"))
    assert len(lines) == len(names)
    assert all(float(e.get("x2", "")) <= frame.width for e in lines)
    lowest = max(float(e.get("y1", "")) for e in lines)
    assert lowest <= 14 + svg.LEGEND_ROW * (svg.legend_rows(names, "streams", frame) - 1)
    assert len({(e.get("x1"), e.get("y1")) for e in lines}) == len(names)


POINT = st.builds(
    lambda load, value: SweepPoint(float(load), value, value * 0.9, value * 1.1),
    st.integers(1, 300),
    LATENCY,
)
SERIES = st.dictionaries(st.sampled_from("abc"), st.lists(POINT, min_size=1, max_size=12))


@given(SERIES)
def test_several_sweeps_have_a_dot_for_each_point(series: dict[str, list[SweepPoint]]):
    root = parsed(sweep(series, SweepAxes("TTFT in ms", "streams", (4.0, "knee"))))
    dots = [e for e in root.iter("circle") if "dot" in e.get("class", "")]
    assert len(dots) == sum(map(len, series.values()))
    assert all(46 - 10 <= float(dot.get("cx", "")) <= 386 + 10 for dot in dots)
    assert "nan" not in ET.tostring(root, encoding="unicode")


@given(st.lists(LATENCY, min_size=2, max_size=60), st.floats(0, 59))
def test_any_course_can_be_drawn(values: list[float], at: float):
    points = [CoursePoint(float(n), v, v, v) for n, v in enumerate(values)]
    change = CourseChange(at, values[0], values[-1])
    for ends in (None, ("first", "last")):
        root = parsed(course(points, CourseAxes("ms", "runs", ends), change))
        assert sum("dot" in e.get("class", "") for e in root.iter("circle")) == len(values)
        assert sum(e.get("class") == "level" for e in root.iter("line")) == 2


def test_twelve_series_look_different():
    assert len({svg.series_class(place) for place in range(12)}) == 12
