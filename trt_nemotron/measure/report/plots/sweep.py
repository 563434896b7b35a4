"""A figure over load: its medians as dots between the limits that hold with confidence.

Load is streams, requests per second or prompt tokens; its steps stand evenly spaced, whatever their
sizes, because they usually double.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from trt_nemotron.measure.report.plots import svg
from trt_nemotron.measure.report.plots.scale import Scale, axis_for
from trt_nemotron.measure.report.words import interval, number

_MOST_VALUES = 9
"""Beyond which figures above the dots would run into each other."""


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """A figure with its limits at one load; without limits, all three are the same."""

    load: float
    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SweepAxes:
    """What stands along both axes.

    Attributes:
        figure: with its unit, `median TTFT in ms`.
        load: `concurrent streams`, `requests per second`, `prompt tokens`.
        mark: a load worth pointing at, such as the knee, and what it is called.
    """

    figure: str
    load: str = "concurrent streams"
    mark: tuple[float, str] | None = None


def sweep(series: Mapping[str, Sequence[SweepPoint]], axes: SweepAxes) -> str:
    """Each series as a line of dots; one alone has its figures written above them."""
    names = list(series) if len(series) > 1 else []
    rows = 1 + (svg.legend_rows(names, "", svg.Frame()) if names else 0)
    extra = svg.LEGEND_ROW * (rows - 1)
    frame = svg.Frame(height=250 + extra, top=30 + extra)
    points = [point for those in series.values() for point in those]
    root = svg.drawing(frame, _label(series, axes))
    y = axis_for([point.high for point in points] or [1.0], *frame.y_span, most_ticks=5)
    svg.add_y_axis(root, frame, y)
    svg.add_text(root, _titled(axes, y), frame.left, frame.top - 16, css="axis-name")
    places = _places([point.load for point in points], frame)
    _add_mark(root, frame, places, axes)
    _add_load_axis(root, frame, places, axes.load)
    for place, (name, those) in enumerate(series.items()):
        shift = 5.0 * (place - (len(series) - 1) / 2) if len(series) > 1 else 0.0
        shifted = {load: x + shift for load, x in places.items()}
        _add_series(root, (shifted, y), those, name, svg.series_class(place))
    if names:
        svg.add_legend(root, frame, "", names)
    elif len(points) <= _MOST_VALUES:
        for point in points:
            x = places[point.load]
            svg.add_text(
                root, number(point.median), x, y.place(point.high) - 8, css="value", anchor="middle"
            )
    return svg.markup(root)


def _label(series: Mapping[str, Sequence[SweepPoint]], axes: SweepAxes) -> str:
    said = "; ".join(
        f"{f'{name}, ' if len(series) > 1 else ''}{p.load:g} {axes.load}: {number(p.median)}"
        for name, points in series.items()
        for p in points
    )
    return f"{axes.figure} over {axes.load}. {said}"


def _titled(axes: SweepAxes, y: Scale) -> str:
    return f"{axes.figure}{', log scale' if y.is_log else ''}"


def _places(loads: Sequence[float], frame: svg.Frame) -> dict[float, float]:
    left, right = frame.x_span
    steps = sorted(set(loads))
    gap = (right - left) / max(len(steps), 1)
    return {load: left + gap * (index + 0.5) for index, load in enumerate(steps)}


def _add_load_axis(
    root: Element, frame: svg.Frame, places: Mapping[float, float], name: str
) -> None:
    left, right = frame.x_span
    floor = frame.y_span[0]
    widest = max((len(f"{load:,g}") for load in places), default=1)
    fits = max(1, int((right - left) / (7.0 * widest + 8.0)))
    stride = -(-len(places) // fits)
    for index, (load, x) in enumerate(places.items()):
        if index % stride == 0:
            svg.add_text(root, f"{load:,g}", x, floor + 16, anchor="middle")
    svg.add(root, "line", "axis", x1=left, x2=right, y1=floor, y2=floor)
    svg.add_text(root, name, (left + right) / 2, floor + 33, css="axis-name", anchor="middle")


def _add_mark(
    root: Element, frame: svg.Frame, places: Mapping[float, float], axes: SweepAxes
) -> None:
    if axes.mark is None or axes.mark[0] not in places:
        return
    load, text = axes.mark
    x = places[load]
    floor, top = frame.y_span
    svg.add(root, "line", "landmark", x1=x, x2=x, y1=floor, y2=top)
    is_right = x > sum(frame.x_span) / 2
    near = x - 5 if is_right else x + 5
    svg.add_text(root, text, near, floor - 6, css="tick", anchor="end" if is_right else "start")


def _add_series(
    root: Element,
    scales: tuple[Mapping[float, float], Scale],
    points: Sequence[SweepPoint],
    name: str,
    css: str,
) -> None:
    places, y = scales
    ordered = sorted(points, key=lambda point: point.load)
    line = [(places[point.load], y.place(point.median)) for point in ordered]
    if line:
        css_of_line = f"curve thin {css}" if name else "thread"
        svg.add(root, "path", css_of_line, d=svg.path_of(line))
    for point, (cx, cy) in zip(ordered, line, strict=True):
        _add_point(root, cx, y, point, css)
        limits = interval(point.low, point.high)
        between = f", between {limits} at 99 % confidence" if limits else ""
        whose = f"{name}, " if name else ""
        hit = svg.add(root, "circle", "hit", cx=cx, cy=cy, r=11)
        svg.add_title(hit, f"{whose}at {point.load:g}: {number(point.median)}{between}")


def _add_point(root: Element, x: float, y: Scale, point: SweepPoint, css: str) -> None:
    low, high = y.place(point.low), y.place(point.high)
    if point.low != point.high:
        svg.add(root, "line", f"whisker {css}", x1=x, x2=x, y1=low, y2=high)
        for end in (low, high):
            svg.add(root, "line", f"whisker {css}", x1=x - 5, x2=x + 5, y1=end, y2=end)
    svg.add(root, "circle", f"dot {css}", cx=x, cy=y.place(point.median), r=4)
