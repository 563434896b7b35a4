"""Rows of the comparison with other clients: kept, gone on with, summed up, laid out."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.peers import __main__ as command
from benchmarks.peers.catalogue import DEFAULT
from benchmarks.peers.fault_table import fault_table, is_right, verdict
from benchmarks.peers.faults import FAULTS
from benchmarks.peers.page import BEGIN, END, NoPlace, block, fill, number, table
from benchmarks.peers.plot import plot
from benchmarks.peers.results import (
    FIGURES,
    FaultRow,
    Row,
    Unreadable,
    begin_results,
    keep,
    read_results,
)
from benchmarks.peers.summary import doubts, spread, summarise

FIGURES_OF_ONE = dict.fromkeys(FIGURES, 0.25) | {"itl_p99_ms": None, "ttft_p99_ms": -2.0}
ROW = Row(
    client="ours", version="1", streams=32, round=1, at="2026-11-24 05:15", load=1.5, seconds=9.0,
    figures=FIGURES_OF_ONE, counts={"asked": 160, "answered": 192, "good": 160, "failed": 0},
    truth={"ttft_p50": 50.01, "tpot_p50": 5.0},
)  # fmt: skip
FAULT = FaultRow(
    client="ours", version="1", wire_fault="in-band error mid-stream", at="2026-11-24 05:15",
    asked=24, came=28, struck=10, good=14, failed=10, names={"stream_error": 10},
)  # fmt: skip
SOUND = replace(
    FAULT, wire_fault="reasoning first", struck=20, good=24, failed=0, names={}, ttft_ms=200.5,
    tpot_ms=4.0,
)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results" / "rows.jsonl"


def test_what_was_kept_is_read_again(path: Path):
    begin_results(path, "here")
    for row in (ROW, FAULT):
        keep(path, row)
    found = read_results(path)
    assert (found.machine, list(found.rows), list(found.faults)) == ("here", [ROW], [FAULT])


def test_a_later_row_stands_for_the_same_run(path: Path):
    begin_results(path, "here")
    for seconds in (1.0, 2.0):
        keep(path, replace(ROW, seconds=seconds))
    assert [row.seconds for row in begin_results(path, "here").rows] == [2.0]


def test_half_a_line_is_passed_over_and_does_not_spoil_the_next(path: Path):
    begin_results(path, "here")
    keep(path, ROW)
    whole = path.read_bytes()
    keep(path, replace(ROW, round=2))
    path.write_bytes(path.read_bytes()[: len(whole) + 20])
    assert [row.round for row in read_results(path).rows] == [1]
    keep(path, replace(ROW, round=2))
    assert [row.round for row in read_results(path).rows] == [1, 2]


def test_rows_of_another_machine_are_refused(path: Path):
    begin_results(path, "here")
    with pytest.raises(Unreadable, match="this is there"):
        begin_results(path, "there")


@pytest.mark.parametrize("text", ["", "[1]\n", '{"client": "x"}\n', '{"machine":"m"}\n{"a":1}\n'])
def test_other_files_are_refused(path: Path, text: str):
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(Unreadable):
        read_results(path)


def test_it_goes_on_with_what_is_missing(path: Path):
    done = begin_results(path, "here")
    words = ["--concurrency", "1,32", "--rounds", "2", "--peer", "ours", "--peer", "sglang"]
    asked = command._parser().parse_args(words)
    everything = list(command._missing(asked, done))
    assert everything[:6] == [
        ("ours", 1, 1), ("sglang", 1, 1), ("ours", 32, 1), ("sglang", 32, 1),
        ("sglang", 1, 2), ("ours", 1, 2),
    ]  # fmt: skip
    assert len(everything) == 8 + 2 * len(FAULTS)
    for row in (ROW, FAULT):
        keep(path, row)
    left = list(command._missing(asked, read_results(path)))
    assert set(everything) - set(left) == {("ours", 32, 1), ("ours", "in-band error mid-stream")}


@given(st.lists(st.floats(-1e6, 1e6) | st.none(), max_size=9))
def test_median_lies_within_its_spread(values: list[float | None]):
    found = spread(values)
    known = [value for value in values if value is not None]
    if found is None:
        assert not known
    else:
        assert (found.low, found.high) == (min(known), max(known))
        assert found.low <= found.median <= found.high


def test_lines_are_of_one_load_and_client_and_leave_out_what_gave_nothing():
    rows = [
        replace(ROW, round=n, figures={**FIGURES_OF_ONE, "ttft_p50_ms": value})
        for n, value in enumerate((3.0, 1.0, 2.0))
    ]
    rows += [replace(ROW, round=4, figures={}, fault="it fell"), replace(ROW, streams=128)]
    lines = summarise(rows)
    assert set(lines) == {(32, "ours"), (128, "ours")}
    line = lines[32, "ours"]
    ttft = line.figures["ttft_p50_ms"]
    assert line.rounds == 3
    assert (ttft.median, ttft.low, ttft.high) == (2.0, 1.0, 3.0)
    assert line.figures["itl_p99_ms"] is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fault": "it fell"}, "it fell"),
        ({"counts": {"asked": 160, "good": 150, "failed": 10}}, "10 of 160"),
        ({"counts": {"asked": 160, "good": 159, "failed": 0}}, "159 good ones of 160"),
        ({"counts": {"asked": 160, "answered": 12}}, "answered 12 of 160"),
        ({"truth": {"ttft_p50": 52.0}}, "52.000 ms instead of 50"),
        ({"truth": {"tpot_p50": 5.2}}, "5.200 ms instead of 5"),
    ],
)
def test_a_row_that_cannot_be_right_is_named(change: dict, said: str):
    assert not list(doubts(ROW))
    (found,) = doubts(replace(ROW, **change))
    assert said in found


def test_table_has_the_median_and_the_spread():
    rows = [
        replace(ROW, round=n, figures={**FIGURES_OF_ONE, "ttft_p50_ms": value})
        for n, value in enumerate((0.25, 0.5, 4860.7))
    ]
    text = table(32, {"ours": summarise(rows)[32, "ours"]})
    assert "160 requests; rounds: 3." in text
    assert "| ours, packets | +0.500 (+0.250 to +4,861) | -2.0 (-2.0 to -2.0) | - |" in text


def test_numbers_have_the_digits_that_mean_something():
    assert [number(v) for v in (0.0061, -13.79, 1395.6)] == ["+0.006", "-13.8", "+1,396"]


def test_only_what_lies_between_the_markers_is_written():
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert fill(page, "new\n") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    for wrong in ("nothing", f"{END}{BEGIN}", f"{BEGIN}{BEGIN}{END}", BEGIN):
        with pytest.raises(NoPlace):
            fill(wrong, "")


def test_plot_is_a_file_of_its_own_with_every_client_that_has_the_figure():
    rows = [replace(ROW, streams=streams) for streams in (1, 32)]
    rows.append(replace(ROW, client="sglang", figures={**FIGURES_OF_ONE, "ttft_p99_ms": 9000.0}))
    names = {"ours": "we", "sglang": "they", "aiperf": "nobody"}
    text = plot(summarise(rows), names, "ttft_p99_ms", "a <title>")
    root = ET.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert text.count("<circle") == 3
    assert "they" in text
    assert "nobody" not in text
    assert "<path" not in plot(summarise(rows), names, "itl_p99_ms", "none has it")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (FAULT, "`stream_error`"),
        (replace(FAULT, names={}), "failed"),
        (SOUND, "ok"),
        (replace(FAULT, good=24, failed=0, names={}), "**10 of 10 taken for good**"),
        (replace(FAULT, good=12, failed=12), "12 good, 12 failed of 24, really 10 failed"),
        (replace(FAULT, good=None, failed=None, fault="it fell"), "it fell"),
        (replace(FAULT, came=3, struck=None), "sent 3 of 24 requests"),
        (replace(SOUND, ttft_ms=328.0), "TTFT 328.0 for 200 ms"),
        (replace(SOUND, tpot_ms=8.0), "TPOT 8.0 for 4.0 ms"),
        (replace(SOUND, good=23, failed=1), "23 good, 1 failed of 24, really 0 failed"),
    ],
)
def test_what_a_client_made_of_a_fault(row: FaultRow, said: str):
    assert verdict(row) == said
    assert is_right(row) == (said in {"`stream_error`", "failed", "ok"})


def test_table_of_faults_has_every_fault_and_counts_what_was_right():
    rows = [FAULT, SOUND, replace(FAULT, client="sglang", good=24, failed=0)]
    text = fault_table(rows, {"ours": "we", "aiperf": "nobody", "sglang": "they"})
    assert "| | we | they |" in text
    assert all(f"\n| {name} | " in text for name in FAULTS)
    assert text.endswith("| right | 2 of 2 | 0 of 1 |\n")


def test_the_page_is_what_the_kept_rows_say(repository: Path):
    results = read_results(command.RESULTS)
    page = (repository / "docs" / "peers.md").read_text()
    assert fill(page, block(results, command.RESULTS.name)) == page
    clients = {row.client for row in results.rows}
    assert clients == set(DEFAULT)
