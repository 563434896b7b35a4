"""A thread's waiting for a processor is the kernel's account; without one it is unknown."""

import sys
import time
from pathlib import Path

import pytest

from trt_nemotron.measure.bench.wire.run_queue import RunQueue, read_run_queue


def account(folder: Path, text: str) -> Path:
    path = folder / "schedstat"
    path.write_text(text)
    return path


def test_waiting_is_averaged_over_the_turns_between_two_readings(tmp_path: Path):
    early = read_run_queue(account(tmp_path, "900 4000000 10\n"))
    late = read_run_queue(account(tmp_path, "950 9000000 20\n"))
    assert late.since(early) == RunQueue(5_000_000, 10)
    assert late.since(early).mean_ms == 0.5
    assert late.since(early).plus(RunQueue(1_000_000, 2)).mean_ms == 0.5


@pytest.mark.parametrize("text", ["", "0 0 0\n", "1 2\n", "1 2 3 4\n", "a b c\n", "1 -2 3\n", "é"])
def test_an_account_that_tells_nothing_is_not_taken_for_no_waiting(tmp_path: Path, text: str):
    assert read_run_queue(account(tmp_path, text)).mean_ms == -1.0
    assert read_run_queue(tmp_path / "none").mean_ms == -1.0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the account is Linux's")
def test_this_threads_own_account_counts_its_turns():
    before = read_run_queue()
    for _ in range(5):
        time.sleep(0.001)
    assert read_run_queue().since(before).turns >= 5
