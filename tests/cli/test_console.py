import io

import pytest
from rich.console import Console

from trt_nemotron.cli.console import DrawnProgress, console


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_without_a_terminal_a_long_phase_says_now_and_then_how_far_it_is():
    said, clock = io.StringIO(), Clock()
    progress = DrawnProgress(Console(file=said, width=200), None, clock)
    progress.phase("hashing")
    for second in range(25):
        clock.now_s = float(second)
        progress.step(second, 100, "B")
    assert said.getvalue().split("\n")[:-1] == [
        "  hashing", "  hashing: 10 of 100 B", "  hashing: 20 of 100 B",
    ]  # fmt: skip


def test_phase_that_is_told_twice_is_shown_once():
    said = io.StringIO()
    progress = DrawnProgress(Console(file=said, width=200), None, Clock())
    progress.phase("loading")
    progress.phase("loading")
    progress.note("[bold] is no markup here")
    assert said.getvalue() == "  loading\n  [bold] is no markup here\n"


@pytest.mark.parametrize("columns", ["0", "1", "20"])
def test_a_terminal_too_narrow_for_a_table_still_shows_it(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("COLUMNS", columns)
    console().print("PASS: the one bound is kept")
    assert capsys.readouterr().err == "PASS: the one bound is kept\n"
