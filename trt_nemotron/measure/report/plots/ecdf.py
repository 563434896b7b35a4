"""Distributions of a latency beside each other: which share of the samples took at most so long.

Every sample is in it; nothing is binned or smoothed, and a tail is as visible as the middle.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from trt_nemotron.measure.bench.figures.percentiles import interpolate, percentile
from trt_nemotron.measure.report.plots import svg
from trt_nemotron.measure.report.plots.scale import Scale, axis_for
from trt_nemotron.measure.report.words import number

_MOST_POINTS = 240
_MARKED = (0.5, 0.9, 0.99)


@dataclass(frozen=True, slots=True)
class Curve:
    """One distribution: its colour's class, whose it is, of what, and its sorted samples."""

    css: str
    whose: str
    name: str
    ordered: Sequence[float]


def ecdf(samples: Mapping[str, Sequence[float]], name: str, title: str = "") -> str:
    """Cumulative distributions of `name`.

    Args:
        samples: milliseconds by whose they are.
        name: of the latency.
        title: what the names of `samples` are, such as `streams`.
    """
    ordered = {whose: sorted(values) for whose, values in samples.items() if values}
    whose = list(ordered)
    rows = svg.legend_rows(whose, title, svg.Frame())
    extra = svg.LEGEND_ROW * (rows - 1)
    frame = svg.Frame(height=250 + extra, top=30 + extra)
    label = f"Cumulative distribution of {name}. " + "; ".join(
        f"{_called(one, title)}: median {number(interpolate(values, 0.5))} ms"
        for one, values in ordered.items()
    )
    root = svg.drawing(frame, label)
    everything = [value for values in ordered.values() for value in values]
    x = axis_for(everything, *frame.x_span)
    y = Scale(0.0, 100.0, *frame.y_span)
    svg.add_y_axis(root, frame, y, suffix=" %")
    is_cut = any(value < x.low for value in everything)
    edge = ", less at the left edge" if is_cut else ""
    svg.add_x_axis(root, frame, x, f"{name} in ms{edge}")
    for place, (one, values) in enumerate(ordered.items()):
        _add_curve(root, x, y, Curve(svg.series_class(place), _called(one, title), name, values))
    svg.add_legend(root, frame, title, whose)
    return svg.markup(root)


def _called(one: str, title: str) -> str:
    return f"{one} {title}" if title == "streams" else one


def _add_curve(root: Element, x: Scale, y: Scale, curve: Curve) -> None:
    places = [(x.place(value), y.place(100.0 * share)) for value, share in _steps(curve.ordered)]
    line = svg.add(root, "path", f"curve {curve.css}", d=svg.path_of(places))
    svg.add_title(line, f"{curve.whose}: {len(curve.ordered)} samples of {curve.name}")
    for quantile in _MARKED:
        value = percentile(curve.ordered, quantile).value
        if value is None:
            continue
        cx, cy = x.place(value), y.place(100.0 * quantile)
        dot = svg.add(root, "circle", f"dot {curve.css}", cx=cx, cy=cy, r=3.2)
        svg.add_title(dot, f"{curve.whose}: p{quantile * 100:g} {curve.name} {number(value)} ms")


def _steps(ordered: Sequence[float]) -> list[tuple[float, float]]:
    """Corners of the staircase; of very many samples evenly spaced ranks and both ends."""
    count = len(ordered)
    stride = max(1, count // _MOST_POINTS)
    ranks = [*range(0, count, stride), *([count - 1] if (count - 1) % stride else [])]
    corners = [(ordered[0], 0.0)]
    for rank in ranks:
        corners += [(ordered[rank], corners[-1][1]), (ordered[rank], (rank + 1) / count)]
    return corners
