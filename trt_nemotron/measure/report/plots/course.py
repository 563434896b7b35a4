"""How a figure went over time: within a soak, or from run to run. A change of level is marked."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from trt_nemotron.measure.report.plots import svg
from trt_nemotron.measure.report.plots.scale import Scale, axis_for
from trt_nemotron.measure.report.words import interval, number


@dataclass(frozen=True, slots=True)
class CoursePoint:
    """A figure at a place along the course.

    Attributes:
        at: along the axis: seconds, or the number of the run.
        low, high: its limits; the same as `value` where it has none.
        said: what a pointer that rests on it is told of when this was.
    """

    at: float
    value: float
    low: float
    high: float
    said: str = ""


@dataclass(frozen=True, slots=True)
class CourseAxes:
    """What stands along both axes.

    Attributes:
        figure: with its unit.
        time: what the course is over.
        ends: words under its two ends instead of numbers; empty for numbers.
    """

    figure: str
    time: str
    ends: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class CourseChange:
    """Where the level changed, and the medians on both sides."""

    at: float
    before: float
    after: float


def course(
    points: Sequence[CoursePoint], axes: CourseAxes, change: CourseChange | None = None
) -> str:
    """A line through the points, and the levels on both sides of a change."""
    frame = svg.Frame()
    root = svg.drawing(frame, _label(points, axes, change))
    y = _value_axis(points, frame)
    svg.add_y_axis(root, frame, y)
    svg.add_text(root, axes.figure, frame.left, 14, css="axis-name")
    x = Scale(points[0].at, max(points[-1].at, points[0].at + 1e-9), *frame.x_span)
    _add_time_axis(root, frame, x, axes)
    line = [(x.place(point.at), y.place(point.value)) for point in points]
    svg.add(root, "path", "thread", d=svg.path_of(line))
    for point in points:
        _add_point(root, x, y, point)
    if change is not None:
        _add_change(root, frame, (x, y), change)
    return svg.markup(root)


def _label(points: Sequence[CoursePoint], axes: CourseAxes, change: CourseChange | None) -> str:
    moved = "" if change is None else (
        f" Level changed from {number(change.before)} to {number(change.after)}."
    )  # fmt: skip
    return (
        f"{axes.figure} over {axes.time}: {len(points)} points, from {number(points[0].value)} "
        f"to {number(points[-1].value)}.{moved}"
    )


def _value_axis(points: Sequence[CoursePoint], frame: svg.Frame) -> Scale:
    """From zero, so that a small change looks as small as it is."""
    return Scale(0.0, axis_for([max(point.high for point in points)], 0.0, 1.0).high, *frame.y_span)


def _add_time_axis(root: Element, frame: svg.Frame, x: Scale, axes: CourseAxes) -> None:
    if axes.ends is None:
        svg.add_x_axis(root, frame, x, axes.time)
        return
    left, right = frame.x_span
    floor = frame.y_span[0]
    svg.add(root, "line", "axis", x1=left, x2=right, y1=floor, y2=floor)
    first, last = axes.ends
    svg.add_text(root, first, left, floor + 16)
    svg.add_text(root, last, right, floor + 16, anchor="end")
    svg.add_text(root, axes.time, (left + right) / 2, floor + 33, css="axis-name", anchor="middle")


def _add_point(root: Element, x: Scale, y: Scale, point: CoursePoint) -> None:
    cx, cy = x.place(point.at), y.place(point.value)
    if point.low != point.high:
        low, high = y.place(point.low), y.place(point.high)
        svg.add(root, "line", "whisker", x1=cx, x2=cx, y1=low, y2=high)
    svg.add(root, "circle", "dot s1", cx=cx, cy=cy, r=2.6)
    limits = interval(point.low, point.high)
    hit = svg.add(root, "circle", "hit", cx=cx, cy=cy, r=9)
    between = f", between {limits}" if limits else ""
    svg.add_title(hit, f"{point.said or f'{point.at:g}'}: {number(point.value)}{between}")


def _add_change(
    root: Element, frame: svg.Frame, scales: tuple[Scale, Scale], change: CourseChange
) -> None:
    x, y = scales
    floor, top = frame.y_span
    at = x.place(change.at)
    svg.add(root, "line", "landmark", x1=at, x2=at, y1=floor, y2=top)
    left, right = frame.x_span
    for begin, end, level in ((left, at, change.before), (at, right, change.after)):
        svg.add(root, "line", "level", x1=begin, x2=end, y1=y.place(level), y2=y.place(level))
    is_right = at > (left + right) / 2
    svg.add_text(
        root,
        f"{number(change.before)} → {number(change.after)}",
        at - 5 if is_right else at + 5,
        floor - 6,
        css="value",
        anchor="end" if is_right else "start",
    )
