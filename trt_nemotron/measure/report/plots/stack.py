"""A stacked bar: parts of one whole, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

from trt_nemotron.measure.report.plots import svg

_HEIGHT = 26.0


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its name, its amount, how the amount reads, and the class that colours it."""

    name: str
    amount: float
    shown: str
    css: str


def stack(parts: Sequence[Part], label: str) -> str:
    """Parts from left to right, as wide as their shares; one too thin to see is a hairline."""
    frame = svg.Frame(width=800, height=_HEIGHT)
    root = svg.drawing(frame, f"{label}: " + "; ".join(f"{p.name} {p.shown}" for p in parts))
    root.set("preserveAspectRatio", "none")
    total = sum(part.amount for part in parts)
    x = 0.0
    for part in parts:
        width = frame.width * part.amount / total if total else 0.0
        rectangle = svg.add(
            root, "rect", f"part {part.css}", x=x, y=0, width=max(width, 0.6), height=_HEIGHT
        )
        svg.add_title(rectangle, f"{part.name}: {part.shown}")
        x += width
    return svg.markup(root)
