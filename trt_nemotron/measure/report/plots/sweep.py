"""A latency over concurrency: the median as a dot between the limits that hold with confidence."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from trt_nemotron.measure.report.plots import svg
from trt_nemotron.measure.report.plots.scale import Scale, axis_for
from trt_nemotron.measure.report.words import interval, number


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """A median with its limits at one concurrency, in milliseconds."""

    concurrency: int
    median: float
    low: float
    high: float


def sweep(points: Sequence[SweepPoint], name: str) -> str:
    """Medians of `name` over concurrency."""
    frame = svg.Frame()
    said = "; ".join(f"{p.concurrency} streams: {number(p.median)} ms" for p in points)
    root = svg.drawing(frame, f"Median {name} over concurrency. {said}")
    y = axis_for([point.high for point in points] or [1.0], *frame.y_span, most_ticks=5)
    svg.add_y_axis(root, frame, y)
    svg.add_text(root, f"median {name} in ms", frame.left, 14, css="axis-name")
    left, right = frame.x_span
    gap = (right - left) / max(len(points), 1)
    places = [left + gap * (index + 0.5) for index in range(len(points))]
    line = [(x, y.place(point.median)) for x, point in zip(places, points, strict=True)]
    if line:
        svg.add(root, "path", "thread", d=svg.path_of(line))
    for x, point in zip(places, points, strict=True):
        _add_point(root, x, y, point)
        _label(root, point, x, y.place(point.high), name)
        floor = frame.y_span[0]
        svg.add_text(root, str(point.concurrency), x, floor + 16, anchor="middle")
    floor = frame.y_span[0]
    svg.add(root, "line", "axis", x1=left, x2=right, y1=floor, y2=floor)
    svg.add_text(
        root, "concurrent streams", (left + right) / 2, floor + 33, css="axis-name", anchor="middle"
    )
    return svg.markup(root)


def _add_point(root: Element, x: float, y: Scale, point: SweepPoint) -> None:
    low, high = y.place(point.low), y.place(point.high)
    svg.add(root, "line", "whisker", x1=x, x2=x, y1=low, y2=high)
    for end in (low, high):
        svg.add(root, "line", "whisker", x1=x - 5, x2=x + 5, y1=end, y2=end)
    svg.add(root, "circle", "dot s0", cx=x, cy=y.place(point.median), r=4)


def _label(root: Element, point: SweepPoint, x: float, top: float, name: str) -> None:
    text = svg.add_text(root, number(point.median), x, top - 8, css="value", anchor="middle")
    limits = interval(point.low, point.high)
    between = f", between {limits} ms at 99 % confidence" if limits else ""
    svg.add_title(
        text, f"{point.concurrency} streams: median {name} {number(point.median)} ms{between}"
    )
