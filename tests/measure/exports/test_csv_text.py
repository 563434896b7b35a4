import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.exports.csv_text import render_csv
from trt_nemotron.measure.exports.rows import Column, Table, chunk_table, request_table


def read(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline="")))


def test_reading_gives_every_row_again(mixed_run: Measurement):
    for table in (request_table(mixed_run), chunk_table(mixed_run)):
        header, *rows = read(render_csv(table))
        assert header == [column.name for column in table.columns]
        assert len(rows) == len(table.rows)
        assert {len(row) for row in rows} == {len(header)}


def test_a_spreadsheet_runs_nothing_that_a_server_said(mixed_run: Measurement):
    header, *rows = read(render_csv(request_table(mixed_run)))
    errors = {row[header.index("error")] for row in rows}
    assert "'=1+1\nboom" in errors
    assert not [error for error in errors if error.startswith("=")]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_numbers_come_back_as_they_were(values: list[float]):
    column = Column("x_ms", "number", lambda _: None)
    rows = read(render_csv(Table((column,), tuple((value,) for value in values))))
    assert [float(row[0]) for row in rows[1:]] == values


@given(st.lists(st.text(st.characters(), max_size=20), min_size=1, max_size=10))
def test_any_text_can_be_read_again(texts: list[str]):
    columns = (Column("n", "integer", lambda _: 0), Column("t", "text", lambda _: ""))
    table = Table(columns, tuple((place, text) for place, text in enumerate(texts)))
    rows = read(render_csv(table))[1:]
    assert [row[0] for row in rows] == [str(place) for place in range(len(texts))]
    for text, (_, cell) in zip(texts, rows, strict=True):
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
        if text.isalnum():
            assert cell == text
