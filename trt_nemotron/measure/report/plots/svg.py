"""SVG elements and the frame that plots share. Text goes through ElementTree, which escapes it.

Colours come from the page's style sheet by class, so that one drawing serves light and dark; there
is no `style` attribute, which the page's content security policy would refuse.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, tostring

from trt_nemotron.measure.report.plots.scale import Scale

WIDTH = 400
"""Of every plot: about a phone's, so that its text is readable there and two stand side by side on
a desktop."""
LEGEND_ROW = 17.0
_LETTER = 6.7
_MOST_LETTERS = 44


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a plot's data area lies, in the drawing's own units."""

    width: float = WIDTH
    height: float = 250
    left: float = 46
    right: float = 14
    top: float = 30
    bottom: float = 40

    @property
    def x_span(self) -> tuple[float, float]:
        """Left and right edge of the data area."""
        return self.left, self.width - self.right

    @property
    def y_span(self) -> tuple[float, float]:
        """Bottom and top edge: values grow upwards."""
        return self.height - self.bottom, self.top


def drawing(frame: Frame, label: str) -> Element:
    """An empty drawing; `label` says in words what it shows."""
    return Element(
        "svg",
        {
            "viewBox": f"0 0 {frame.width:g} {frame.height:g}",
            "role": "img",
            "aria-label": label,
            "class": "plot",
        },
    )


def add(parent: Element, tag: str, css: str = "", **attributes: float | str) -> Element:
    """A child element; underscores in attribute names stand for hyphens."""
    named = {name.replace("_", "-"): _written(value) for name, value in attributes.items()}
    return SubElement(parent, tag, {"class": css, **named} if css else named)


def add_text(
    parent: Element, text: str, x: float, y: float, *, css: str = "tick", anchor: str = "start"
) -> Element:
    """A line of text."""
    element = add(parent, "text", css, x=x, y=y, text_anchor=anchor)
    element.text = text
    return element


def add_title(element: Element, text: str) -> None:
    """What the browser shows when the pointer rests on `element`."""
    SubElement(element, "title").text = text


def series_class(place: int) -> str:
    """The style of a series: six colours, then the same ones dashed."""
    return f"s{place % 6} dashed" if place // 6 % 2 else f"s{place % 6}"


def legend_rows(names: Sequence[str], title: str, frame: Frame) -> int:
    """How many lines of text a legend takes; each adds `LEGEND_ROW` to the drawing's top."""
    return 1 + max((row for row, _ in _legend_places(names, title, frame)), default=0)


def add_legend(parent: Element, frame: Frame, title: str, names: Sequence[str]) -> None:
    """Which line is whose, above the data area, on as many lines as it takes."""
    add_text(parent, title, frame.left, 14, css="axis-name")
    for place, (name, (row, x)) in enumerate(
        zip(names, _legend_places(names, title, frame), strict=True)
    ):
        y = 14 + LEGEND_ROW * row
        add(parent, "line", f"curve {series_class(place)}", x1=x, x2=x + 16, y1=y - 4, y2=y - 4)
        add_title(add_text(parent, _shortened(name), x + 21, y), name)


def _legend_places(names: Sequence[str], title: str, frame: Frame) -> list[tuple[int, float]]:
    """Row and left edge of each entry; widths are estimated, on the wide side."""
    row, x = 0, frame.left + (12 + _LETTER * len(title) if title else 0)
    places = []
    for name in names:
        width = 33 + _LETTER * len(_shortened(name))
        if x + width > frame.width - frame.right and x > frame.left:
            row, x = row + 1, frame.left
        places.append((row, x))
        x += width
    return places


def _shortened(name: str) -> str:
    """The end tells files apart more often than the begin."""
    return name if len(name) <= _MOST_LETTERS else f"…{name[1 - _MOST_LETTERS :]}"


def add_x_axis(parent: Element, frame: Frame, scale: Scale, name: str) -> None:
    """Marks below the data area, with the axis' name and unit."""
    floor, top = frame.y_span
    for tick in scale.ticks():
        x = scale.place(tick)
        add(parent, "line", "grid", x1=x, x2=x, y1=floor, y2=top)
        add_text(parent, f"{tick:,g}", x, floor + 16, anchor="middle")
    add(parent, "line", "axis", x1=frame.left, x2=frame.width - frame.right, y1=floor, y2=floor)
    suffix = ", log scale" if scale.is_log else ""
    middle = sum(frame.x_span) / 2
    add_text(parent, f"{name}{suffix}", middle, floor + 33, css="axis-name", anchor="middle")


def add_y_axis(parent: Element, frame: Frame, scale: Scale, *, suffix: str = "") -> None:
    """Marks left of the data area; the axis' name stands above it as the plot's own."""
    left, right = frame.x_span
    for tick in scale.ticks():
        y = scale.place(tick)
        add(parent, "line", "grid", x1=left, x2=right, y1=y, y2=y)
        add_text(parent, f"{tick:,g}{suffix}", left - 7, y + 4, anchor="end")


def path_of(points: list[tuple[float, float]]) -> str:
    """Path data through `points`."""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def markup(root: Element) -> str:
    """The drawing as text to be put into HTML."""
    return tostring(root, encoding="unicode")


def _written(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
