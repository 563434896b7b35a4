"""A drawing with the words around it, and how a leg is called on a page."""

from dataclasses import dataclass

from markupsafe import Markup

from trt_nemotron.measure.bench.leg import Leg


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing with its title and what to read in it."""

    title: str
    note: str
    css: str
    svg: Markup


def leg_title(leg: Leg) -> str:
    """As people say it: `8 streams`, `4 requests/s, 1,024 tokens in`."""
    many = f"{leg.concurrency} stream{'s' if leg.concurrency > 1 else ''}"
    base = f"{leg.rate_rps:g} requests/s" if leg.rate_rps else many
    return f"{base}, {leg.input_tokens:,} tokens in" if leg.input_tokens else base


def safe(svg: str) -> Markup:
    """A drawing as part of the page: ElementTree, which built it, has escaped all text."""
    return Markup(svg)  # noqa: S704 - see above
