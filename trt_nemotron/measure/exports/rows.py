"""A measurement as rows of a table: one for each request, or one for each token chunk.

A column's name ends in its unit; `_ns` are integers on the run's own clock, counted from its start.
Figures are those of docs/measuring.md, and empty where the record gives none.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from trt_nemotron.measure.bench.figures.request_figures import (
    RequestFigures,
    measure_request,
    token_chunks,
)
from trt_nemotron.measure.bench.values import ChunkRecord, Measurement, RequestRecord

CellKind = Literal["integer", "number", "text", "truth"]
Cell = int | float | str | bool | None
_NS_PER_MS = 1e6


@dataclass(frozen=True, slots=True)
class Subject:
    """What the cells of a row are taken from.

    Attributes:
        place: of the record in the file; unlike its `index`, no two records share it.
        figures: nothing for a record that gives none.
        chunk, number, before: of a row for a chunk: the chunk, which token chunk of its request it
            is, and when the one before it came.
    """

    place: int
    record: RequestRecord
    figures: RequestFigures | None = None
    chunk: ChunkRecord | None = None
    number: int = 0
    before_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name with unit, what its cells are, and where they come from."""

    name: str
    kind: CellKind
    take: Callable[[Subject], Cell]


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and rows; a row has a cell for each column."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


def request_table(measurement: Measurement) -> Table:
    """A row for each record, warm-up and failures included."""
    subjects = (
        Subject(place, record, figures_of(record))
        for place, record in enumerate(measurement.records)
    )
    return _table(REQUEST_COLUMNS, subjects)


def chunk_table(measurement: Measurement) -> Table:
    """A row for each token chunk of each record; events that carry no token are left out."""
    return _table(
        CHUNK_COLUMNS,
        chain.from_iterable(
            _chunks(place, record) for place, record in enumerate(measurement.records)
        ),
    )


def figures_of(record: RequestRecord) -> RequestFigures | None:
    """Its figures; nothing for one that failed, is void, or contradicts itself."""
    return measure_request(record) if record.gives_figures and token_chunks(record) else None


def _table(columns: tuple[Column, ...], subjects: Iterator[Subject]) -> Table:
    return Table(columns, tuple(tuple(c.take(subject) for c in columns) for subject in subjects))


def _chunks(place: int, record: RequestRecord) -> Iterator[Subject]:
    before_ns = None
    for number, chunk in enumerate(token_chunks(record)):
        yield Subject(place, record, chunk=chunk, number=number, before_ns=before_ns)
        before_ns = chunk.received_ns


def _known(count: int) -> int | None:
    """The records' -1 stands for a count that the server did not give."""
    return count if count >= 0 else None


def _ms(later_ns: int, earlier_ns: int | None) -> float | None:
    return None if earlier_ns is None else (later_ns - earlier_ns) / _NS_PER_MS


def _figure(name: str) -> Callable[[Subject], Cell]:
    def take(subject: Subject) -> Cell:
        value: float | None = getattr(subject.figures, name) if subject.figures else None
        return value

    return take


def _of_chunk(take: Callable[[Subject, ChunkRecord], Cell]) -> Callable[[Subject], Cell]:
    return lambda subject: None if subject.chunk is None else take(subject, subject.chunk)


def _queue_ms(subject: Subject) -> float | None:
    intended_ns = subject.record.intended_ns
    return _ms(subject.record.sent_ns, intended_ns) if intended_ns >= 0 else None


_KEY_COLUMNS: tuple[Column, ...] = (
    Column("request", "integer", lambda s: s.place),
    Column("concurrency", "integer", lambda s: s.record.concurrency),
    Column("rate_rps", "number", lambda s: s.record.rate_rps or None),
    Column("leg_input_tokens", "integer", lambda s: s.record.leg_input_tokens or None),
    Column("is_warmup", "truth", lambda s: s.record.is_warmup),
)
REQUEST_COLUMNS: tuple[Column, ...] = (
    *_KEY_COLUMNS,
    Column("index", "integer", lambda s: s.record.index),
    Column("session", "integer", lambda s: _known(s.record.session)),
    Column("turn", "integer", lambda s: s.record.turn),
    Column("outcome", "text", lambda s: s.record.outcome),
    Column("status_code", "integer", lambda s: s.record.status_code or None),
    Column("finish_reason", "text", lambda s: s.record.finish_reason),
    Column("error", "text", lambda s: s.record.error),
    Column("void", "text", lambda s: s.record.void),
    Column("clock", "text", lambda s: s.record.clock),
    Column("prompt_tokens", "integer", lambda s: _known(s.record.prompt_tokens)),
    Column("completion_tokens", "integer", lambda s: _known(s.record.completion_tokens)),
    Column("cached_tokens", "integer", lambda s: _known(s.record.cached_tokens)),
    Column("token_chunks", "integer", lambda s: len(token_chunks(s.record))),
    Column("intended_ns", "integer", lambda s: _known(s.record.intended_ns)),
    Column("sent_ns", "integer", lambda s: s.record.sent_ns),
    Column("send_call_ns", "integer", lambda s: s.record.send_call_ns),
    Column("connect_ns", "integer", lambda s: s.record.connect_ns),
    Column("finished_ns", "integer", lambda s: s.record.finished_ns),
    Column("queue_ms", "number", _queue_ms),
    Column("ttft_ms", "number", _figure("ttft_ms")),
    Column("ttfa_ms", "number", _figure("ttfa_ms")),
    Column("tpot_ms", "number", _figure("tpot_ms")),
    Column("e2e_ms", "number", _figure("e2e_ms")),
)
CHUNK_COLUMNS: tuple[Column, ...] = (
    *_KEY_COLUMNS,
    Column("outcome", "text", lambda s: s.record.outcome),
    Column("void", "text", lambda s: s.record.void),
    Column("chunk", "integer", lambda s: s.number),
    Column("kind", "text", _of_chunk(lambda _, c: c.kind)),
    Column("characters", "integer", _of_chunk(lambda _, c: c.characters)),
    Column("tokens_so_far", "integer", _of_chunk(lambda _, c: _known(c.tokens_so_far))),
    Column("received_ns", "integer", _of_chunk(lambda _, c: c.received_ns)),
    Column("since_sent_ms", "number", _of_chunk(lambda s, c: _ms(c.received_ns, s.record.sent_ns))),
    Column("gap_ms", "number", _of_chunk(lambda s, c: _ms(c.received_ns, s.before_ns))),
)


def column_names(columns: Sequence[Column]) -> tuple[str, ...]:
    """Their names in order."""
    return tuple(column.name for column in columns)
