from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trt_nemotron.deploy.serving.log import LogReader, explain, read_tail
from trt_nemotron.facts.release import KnownFailure

TEXT = st.lists(st.text("ab ü", max_size=9), max_size=40)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=TEXT, wanted=st.integers(0, 50), is_ended=st.booleans(), block=st.integers(1, 64))
def test_the_tail_is_the_end_of_all_lines(
    tmp_path: Path, lines: list[str], wanted: int, is_ended: bool, block: int
):
    path = tmp_path / "log"
    text = "\n".join(lines) + ("\n" if is_ended and lines else "")
    path.write_text(text)
    expected = text.split("\n")[:-1] if text.endswith("\n") else text.split("\n")
    expected = [] if not text else expected
    assert read_tail(path, wanted, block=block) == (expected[-wanted:] if wanted else [])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(st.binary(max_size=12), max_size=12))
def test_a_reader_gives_every_line_once_however_it_was_written(tmp_path: Path, pieces: list[bytes]):
    path = tmp_path / "log"
    path.write_bytes(b"")
    reader = LogReader(path)
    found = []
    for piece in pieces:
        with path.open("ab") as file:
            file.write(piece)
        found += reader.new_lines()
    whole = b"".join(pieces).split(b"\n")[:-1]
    assert found == [line.decode(errors="replace").rstrip("\r") for line in whole]


def test_a_tail_can_end_before_the_end(tmp_path: Path):
    path = tmp_path / "log"
    path.write_text("one\ntwo\nthree\n")
    assert read_tail(path, 5, end=8) == ["one", "two"]


def test_no_file_is_an_empty_log(tmp_path: Path):
    path = tmp_path / "none"
    assert read_tail(path, 5) == []
    assert LogReader(path).new_lines() == []
    assert explain(path, ()) is None


@pytest.mark.parametrize(
    ("line", "cause"), [("CUDA out of memory", "memory"), ("bind: in use", "port"), ("fine", None)]
)
def test_a_known_failure_is_found_by_its_line(tmp_path: Path, line: str, cause: str | None):
    failures = (
        KnownFailure(pattern="out of memory$", cause="memory", next_step="less"),
        KnownFailure(pattern="^bind: .*use", cause="port", next_step="another"),
    )
    path = tmp_path / "log"
    path.write_text(f"before\n{line}\nafter\n")
    found = explain(path, failures)
    assert (found.cause if found else None) == cause
