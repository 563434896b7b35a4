"""Tokens over time: a row for each request, a stroke for each token at the moment it arrived.

The thin line before the first stroke is the waiting time. Batching, stalls and streams that starve
show as what they are.
"""

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from trt_nemotron.measure.bench.figures.request_figures import token_chunks
from trt_nemotron.measure.bench.values import RequestRecord
from trt_nemotron.measure.report.plots import svg
from trt_nemotron.measure.report.plots.scale import Scale, axis_for
from trt_nemotron.measure.report.words import number

MOST_ROWS = 24
_ROW = 8.0
_NS_PER_MS = 1e6


def timeline(records: Sequence[RequestRecord], leg: str) -> str:
    """The first requests of one leg, at most `MOST_ROWS` of them, in order of sending."""
    rows = sorted(records, key=lambda record: record.sent_ns)[:MOST_ROWS]
    begin = rows[0].sent_ns
    frame = svg.Frame(height=8 + 40 + _ROW * len(rows), top=8, left=14, right=24)
    ends = [(_last_ns(record) - begin) / _NS_PER_MS for record in rows]
    x = _linear(max(ends), frame)
    label = (
        f"Arrival of every token of the first {len(rows)} requests at {leg}, "
        f"over {number(max(ends))} ms"
    )
    root = svg.drawing(frame, label)
    svg.add_x_axis(root, frame, x, "time since the first request in ms")
    for place, record in enumerate(rows):
        _add_row(root, record, x, begin, frame.top + _ROW * place)
    return svg.markup(root)


def _linear(last: float, frame: svg.Frame) -> Scale:
    top = axis_for([last], *frame.x_span).high
    return Scale(0.0, top, *frame.x_span)


def _last_ns(record: RequestRecord) -> int:
    return max(record.finished_ns, record.sent_ns)


def _add_row(root: Element, record: RequestRecord, x: Scale, begin: int, top: float) -> None:
    stamps = [chunk.received_ns for chunk in token_chunks(record)]
    sent = x.place((record.sent_ns - begin) / _NS_PER_MS)
    first = x.place(((stamps[0] if stamps else _last_ns(record)) - begin) / _NS_PER_MS)
    row = svg.add(root, "g", "" if record.outcome == "ok" else "bad")
    svg.add_title(row, _describe(record, stamps))
    svg.add(row, "rect", "hit", x=sent, y=top, width=max(first - sent, 1.0), height=_ROW)
    svg.add(row, "line", "wait", x1=sent, x2=first, y1=top + _ROW / 2, y2=top + _ROW / 2)
    places = sorted({round(x.place((s - begin) / _NS_PER_MS), 1) for s in stamps})
    if places:
        strokes = "".join(f"M{place:g} {top + 1:g}v{_ROW - 2:g}" for place in places)
        svg.add(row, "path", "token", d=strokes)


def _describe(record: RequestRecord, stamps: Sequence[int]) -> str:
    if not stamps:
        return f"request {record.index}: {record.outcome}, no token"
    wait = (stamps[0] - record.sent_ns) / _NS_PER_MS
    rest = (stamps[-1] - stamps[0]) / _NS_PER_MS
    outcome = "" if record.outcome == "ok" else f", {record.outcome}"
    return (
        f"request {record.index}: first token after {number(wait)} ms, "
        f"{len(stamps)} chunks in {number(rest)} ms{outcome}"
    )
