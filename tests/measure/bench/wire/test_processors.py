"""What of the machine was idle is the kernel's account; without one it is unknown."""

import sys
import time
from pathlib import Path

import pytest

from trt_nemotron.measure.bench.wire.processors import Processors, read_processors

OTHERS = "cpu0 1 2 3 4 5 6 7 8 9 10\nintr 5\n"


def account(folder: Path, text: str) -> Path:
    path = folder / "stat"
    path.write_text(text)
    return path


def test_idle_is_counted_of_all_processors_between_two_readings(tmp_path: Path):
    early = read_processors(account(tmp_path, f"cpu  100 5 30 1000 20 1 2 3 50 9\n{OTHERS}"))
    late = read_processors(account(tmp_path, f"cpu  160 5 50 1015 25 1 2 3 90 9\n{OTHERS}"))
    assert late.since(early) == Processors(idle=20, ticks=100)
    assert late.since(early).idle_share == 0.2
    assert late.since(early).plus(Processors(0, 100)).idle_share == 0.1


def test_a_share_of_a_few_ticks_is_not_told():
    assert Processors(5, 19).idle_share == -1.0
    assert Processors(5, 20).idle_share == 0.25


def test_an_account_that_went_back_is_no_negative_share():
    """Linux may correct idle time downwards."""
    assert Processors(-1, 30).idle_share == 0.0


@pytest.mark.parametrize(
    "text",
    ["", "cpu\n", "cpu 1 2 3 4 5 6 7\n", "cpu0 1 2 3 4 5 6 7 8\n", "cpu 1 2 3 x 5 6 7 8\n", "é"],
)
def test_an_account_that_tells_nothing_is_not_taken_for_a_busy_machine(tmp_path: Path, text: str):
    assert read_processors(account(tmp_path, text)) == Processors()
    assert read_processors(tmp_path / "none").idle_share == -1.0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the account is Linux's")
def test_the_real_account_goes_on():
    before = read_processors()
    while read_processors().since(before).ticks < 20:
        time.sleep(0.02)
    assert 0.0 <= read_processors().since(before).idle_share <= 1.0
