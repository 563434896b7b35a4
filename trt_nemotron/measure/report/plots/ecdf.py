"""Distribution of a latency per concurrency: which share of the samples took at most so long.

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


def ecdf(samples: Mapping[int, Sequence[float]], name: str) -> str:
    """Cumulative distribution of `samples` (concurrency -> milliseconds), called `name`."""
    ordered = {streams: sorted(values) for streams, values in samples.items() if values}
    frame = svg.Frame()
    label = f"Cumulative distribution of {name}. " + "; ".join(
        f"{streams} streams: median {number(interpolate(values, 0.5))} ms"
        for streams, values in ordered.items()
    )
    root = svg.drawing(frame, label)
    everything = [value for values in ordered.values() for value in values]
    x = axis_for(everything, *frame.x_span)
    y = Scale(0.0, 100.0, *frame.y_span)
    svg.add_y_axis(root, frame, y, suffix=" %")
    is_cut = any(value < x.low for value in everything)
    edge = ", less at the left edge" if is_cut else ""
    svg.add_x_axis(root, frame, x, f"{name} in ms{edge}")
    for place, (streams, values) in enumerate(ordered.items()):
        curve = Curve(f"s{place % 6}", f"{streams} streams", name, values)
        _add_curve(root, x, y, curve)
    add_legend(root, frame, list(ordered))
    return svg.markup(root)


def add_legend(root: Element, frame: svg.Frame, concurrencies: Sequence[int]) -> None:
    """Which line is which concurrency, above the data area."""
    svg.add_text(root, "streams", frame.left, 14, css="axis-name")
    x = frame.left + 56
    for place, streams in enumerate(concurrencies):
        svg.add(root, "line", f"curve s{place % 6}", x1=x, x2=x + 16, y1=10, y2=10)
        svg.add_text(root, str(streams), x + 21, 14)
        x += 36 + 7 * len(str(streams))


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
