"""A figure beside its bound, small enough for a table cell: how near it is at a glance."""

from trt_nemotron.measure.gate.values import BoundResult
from trt_nemotron.measure.report import words
from trt_nemotron.measure.report.plots import svg
from trt_nemotron.measure.report.plots.scale import Scale

_FRAME = svg.Frame(width=132, height=16, left=3, right=3)


def bullet(result: BoundResult) -> str:
    """The figure's interval on a line from zero, the bound as a stroke, the side beyond it shaded.

    Empty without a figure or a bound, and for smoke checks, which are counted.
    """
    if result.figure is None or not result.bound or result.kind == "smoke":
        return ""
    root = svg.drawing(_FRAME, f"{words.figure(result)}, bound {words.bound(result)}")
    root.set("class", "bullet")
    is_cost = result.direction == "lower_is_better"
    x = Scale(0.0, max(result.bound * 1.33, result.figure * (1.0 if is_cost else 1.1)), 3, 129)
    bound = x.place(result.bound)
    start, end = (bound, 129.0) if is_cost else (3.0, bound)
    svg.add(root, "rect", "beyond", x=start, y=2, width=end - start, height=12)
    svg.add(root, "line", "axis", x1=3, x2=129, y1=8, y2=8)
    svg.add(root, "line", "bound", x1=bound, x2=bound, y1=1, y2=15)
    low = x.place(result.figure if result.low is None else result.low)
    high = x.place(result.figure if result.high is None else result.high)
    svg.add(root, "line", "range", x1=low, x2=max(high, low + 0.1), y1=8, y2=8)
    svg.add(root, "circle", f"mark {result.decision}", cx=x.place(result.figure), cy=8, r=3.6)
    return svg.markup(root)
