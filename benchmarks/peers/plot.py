"""A figure over the number of streams, a line for each client, as an SVG file of its own."""

from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element, SubElement

from benchmarks.peers.summary import Line, Spread
from trt_nemotron.measure.report.plots import svg
from trt_nemotron.measure.report.plots.scale import Scale, axis_for

STYLE = """
text { font: 12px system-ui, sans-serif; fill: #5a6370 } .axis-name { fill: #1b1f24 }
.grid { stroke: #dde1e6 } .axis { stroke: #5a6370 }
.curve { fill: none; stroke-width: 1.6 } .whisker { stroke-width: 1.5 }
.dot { fill: #fdfdfb; stroke-width: 2 } .dashed { stroke-dasharray: 4 2.5 } .paper { fill: #fdfdfb }
.s0 { stroke: #2a9a8c } .s1 { stroke: #2471b8 } .s2 { stroke: #5b3fa8 }
.s3 { stroke: #8a2a7f } .s4 { stroke: #b3304f } .s5 { stroke: #7a4a10 }
"""
_LEAST = 1e-3
"""Smallest size that is drawn: a microsecond where the figure is in ms."""


def plot(
    lines: Mapping[tuple[int, str], Line], names: Mapping[str, str], figure: str, title: str
) -> str:
    """The size of a figure, its sign left away, on a logarithmic axis.

    Args:
        lines: by (streams, client).
        names: how each client is called, in order.
        figure: of `results.FIGURES`.
        title: of the figure, with its unit.
    """
    series = {
        client: [(line.streams, found) for line in lines.values() if line.client == client
                 and (found := _size(line.figures[figure])) is not None]
        for client in names
    }  # fmt: skip
    series = {client: points for client, points in series.items() if points}
    called = [names[client] for client in series]
    rows = svg.legend_rows(called, "", svg.Frame(width=640))
    top = 34 + svg.LEGEND_ROW * rows
    frame = svg.Frame(width=640, height=300 + top, left=58, top=top)
    root = _begun(frame, title)
    sizes = [size for points in series.values() for _, s in points for size in (s.low, s.high)]
    y = _scale(sizes or [1.0], frame)
    svg.add_y_axis(root, frame, y)
    places = _load_axis(root, frame, sorted({streams for streams, _ in lines}))
    for number, points in enumerate(series.values()):
        shift = 6.0 * (number - (len(series) - 1) / 2)
        shifted = [(places[streams] + shift, found) for streams, found in points]
        _draw(root, y, shifted, svg.series_class(number))
    svg.add_text(root, title, frame.left, 14, css="axis-name")
    _legend(root, frame, called)
    return svg.markup(root) + "\n"


def _size(found: Spread | None) -> Spread | None:
    """Without signs; nothing is smaller than the axis shows."""
    if found is None:
        return None
    ends = [max(abs(end), _LEAST) for end in (found.low, found.high)]
    is_across = found.low < 0 < found.high
    return Spread(max(abs(found.median), _LEAST), _LEAST if is_across else min(ends), max(ends))


def _begun(frame: svg.Frame, title: str) -> Element:
    root = svg.drawing(frame, title)
    root.set("xmlns", "http://www.w3.org/2000/svg")
    SubElement(root, "style").text = STYLE
    svg.add(root, "rect", "paper", x=0, y=0, width=frame.width, height=frame.height)
    return root


def _scale(sizes: Sequence[float], frame: svg.Frame) -> Scale:
    high = axis_for(sizes, *frame.y_span).high
    low = next(d for d in (1e-3, 1e-2, 1e-1, 1.0, 10.0) if d * 10 > min(sizes) or d == 10.0)
    return Scale(low, max(high, 10 * low), *frame.y_span, is_log=True)


def _load_axis(root: Element, frame: svg.Frame, loads: Sequence[int]) -> dict[int, float]:
    left, right = frame.x_span
    floor, _ = frame.y_span
    step = (right - left) / max(len(loads), 1)
    places = {load: left + step * (number + 0.5) for number, load in enumerate(loads)}
    for load, x in places.items():
        svg.add_text(root, str(load), x, floor + 16, anchor="middle")
    svg.add(root, "line", "axis", x1=left, x2=right, y1=floor, y2=floor)
    svg.add_text(
        root, "concurrent streams", (left + right) / 2, floor + 33, css="axis-name",
        anchor="middle",
    )  # fmt: skip
    return places


def _draw(root: Element, y: Scale, points: Sequence[tuple[float, Spread]], css: str) -> None:
    line = [(x, y.place(found.median)) for x, found in points]
    svg.add(root, "path", f"curve {css}", d=svg.path_of(line))
    for (x, middle), (_, found) in zip(line, points, strict=True):
        svg.add(
            root, "line", f"whisker {css.split(maxsplit=1)[0]}",
            x1=x, x2=x, y1=y.place(found.low), y2=y.place(found.high),
        )  # fmt: skip
        svg.add(root, "circle", f"dot {css.split(maxsplit=1)[0]}", cx=x, cy=middle, r=3.2)


def _legend(root: Element, frame: svg.Frame, names: Sequence[str]) -> None:
    holder = svg.add(root, "g", transform=f"translate(0 {svg.LEGEND_ROW:g})")
    svg.add_legend(holder, frame, "", names)
