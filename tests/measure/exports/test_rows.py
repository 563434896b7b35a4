from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.measure.bench.figures.request_figures import token_chunks
from trt_nemotron.measure.bench.figures.summarise import summarise
from trt_nemotron.measure.bench.values import Measurement, RequestRecord
from trt_nemotron.measure.exports.rows import (
    CHUNK_COLUMNS,
    REQUEST_COLUMNS,
    Cell,
    Subject,
    Table,
    chunk_table,
    column_names,
    request_table,
)

TYPES = {"integer": int, "number": float, "text": str, "truth": bool}


def as_dicts(table: Table) -> list[dict[str, Cell]]:
    return [dict(zip(column_names(table.columns), row, strict=True)) for row in table.rows]


def test_a_row_for_each_record_and_nothing_lost(mixed_run: Measurement):
    rows = as_dicts(request_table(mixed_run))
    assert len(rows) == len(mixed_run.records)
    assert [row["request"] for row in rows] == list(range(len(rows)))
    for row, record in zip(rows, mixed_run.records, strict=True):
        for name in ("outcome", "void", "error", "sent_ns", "finished_ns", "is_warmup"):
            assert row[name] == getattr(record, name)
        assert (row["ttft_ms"] is not None) == record.gives_figures


def test_medians_of_the_rows_are_those_of_the_summary(mixed_run: Measurement):
    rows = as_dicts(request_table(mixed_run))
    for figures in summarise(mixed_run).concurrencies:
        here = [
            row for row in rows
            if row["concurrency"] == figures.concurrency and not row["is_warmup"]
        ]  # fmt: skip
        assert len(here) == figures.requests
        for name in ("ttft_ms", "tpot_ms", "e2e_ms"):
            values = sorted(v for row in here if isinstance(v := row[name], float))
            assert len(values) == figures.latency(name).samples
            assert sum(values) / len(values) == pytest.approx(figures.latency(name).mean)


def test_a_row_for_each_token_chunk_and_gaps_between_them(mixed_run: Measurement):
    rows = as_dicts(chunk_table(mixed_run))
    assert len(rows) == sum(len(token_chunks(record)) for record in mixed_run.records)
    for earlier, later in pairwise(rows):
        if earlier["request"] == later["request"]:
            assert later["chunk"] == int(earlier["chunk"] or 0) + 1
            gap = (int(later["received_ns"] or 0) - int(earlier["received_ns"] or 0)) / 1e6
            assert later["gap_ms"] == gap
        else:
            assert later["chunk"] == 0
            assert later["gap_ms"] is None


def test_every_column_says_what_its_cells_are(mixed_run: Measurement, open_run: Measurement):
    for run in (mixed_run, open_run):
        for table in (request_table(run), chunk_table(run)):
            for column, cells in zip(table.columns, zip(*table.rows, strict=True), strict=True):
                kinds = {type(cell) for cell in cells if cell is not None}
                assert kinds <= {TYPES[column.kind]}, column.name


def test_names_are_unique_and_times_carry_their_unit():
    for columns in (REQUEST_COLUMNS, CHUNK_COLUMNS):
        names = column_names(columns)
        assert len(set(names)) == len(names)
        assert all(c.name.endswith(("_ms", "_rps")) for c in columns if c.kind == "number")


def test_the_queue_of_an_open_loop_is_shown_and_a_closed_one_has_none(
    mixed_run: Measurement, open_run: Measurement
):
    assert {row["queue_ms"] for row in as_dicts(request_table(open_run))} == {2.0}
    assert {row["rate_rps"] for row in as_dicts(request_table(open_run))} == {20.0}
    assert {row["queue_ms"] for row in as_dicts(request_table(mixed_run))} == {None}


def test_a_record_that_contradicts_itself_gives_no_figure(mixed_run: Measurement):
    odd = msgspec.structs.replace(mixed_run.records[1], chunks=())
    row = as_dicts(request_table(msgspec.structs.replace(mixed_run, records=(odd,))))[0]
    assert row["outcome"] == "ok"
    assert row["token_chunks"] == 0
    assert row["ttft_ms"] is None


@given(st.lists(st.integers(-1, 10**6), min_size=3, max_size=3))
def test_a_count_that_nobody_gave_is_empty(counts: list[int]):
    record = RequestRecord(
        index=0, concurrency=1, is_warmup=False, outcome="ok", connect_ns=0, sent_ns=0,
        finished_ns=1, chunks=(), prompt_tokens=counts[0], completion_tokens=counts[1],
        cached_tokens=counts[2],
    )  # fmt: skip
    cells = {column.name: column.take(Subject(0, record)) for column in REQUEST_COLUMNS}
    names = ("prompt_tokens", "completion_tokens", "cached_tokens")
    assert [cells[name] for name in names] == [c if c >= 0 else None for c in counts]
