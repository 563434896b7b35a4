"""Processes of this machine: whose child is whose, who listens, how long it computed."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from trt_nemotron.measure.bench.process_family import family, listener_of, processor_seconds

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-I", "-S", "-c", "input()"], stdin=subprocess.PIPE)
print(child.pid, flush=True)
input()
child.communicate(b"\\n")
"""


@pytest.fixture
def parent() -> Iterator[tuple[int, int]]:
    """A process and its child."""
    made = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert made.stdout is not None
    yield made.pid, int(made.stdout.readline())
    made.communicate("\n")


def test_a_family_is_a_process_with_all_that_it_started(parent: tuple[int, int]):
    assert list(family(parent[0])) == list(parent)
    assert list(family(parent[1])) == [parent[1]]
    assert {*parent} < set(family(os.getpid()))


def test_a_process_that_has_ended_has_no_children_and_no_time():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert list(family(gone.pid)) == [gone.pid]
    assert processor_seconds([gone.pid]) == 0.0


def test_time_grows_by_what_was_computed_and_by_what_children_did():
    before, begun = processor_seconds([os.getpid()]), time.process_time()
    while time.process_time() < begun + 0.3:
        pass
    own = processor_seconds([os.getpid()]) - before
    assert 0.25 < own < 0.25 + 2 * (time.process_time() - begun)
    busy = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", busy], check=True)
    assert processor_seconds([os.getpid()]) - before - own > 0.25


def test_a_name_with_brackets_and_blanks_hides_no_times(tmp_path: Path):
    (tmp_path / "7").mkdir()
    times = [100, 200, 30, 4]
    words = ["S", *["9"] * 10, *map(str, times), "99", "99"]
    (tmp_path / "7" / "stat").write_text(f"7 (a ) R (b) {' '.join(words)}\n")
    ticks = os.sysconf("SC_CLK_TCK")
    assert processor_seconds([7, 8], tmp_path) == pytest.approx(sum(times) / ticks)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_the_listener_of_a_port_is_found(address: str):
    kind = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(kind) as listener:
        try:
            listener.bind((address, 0))
        except OSError:
            pytest.skip(f"no {address} here")
        port = listener.getsockname()[1]
        assert listener_of(port) is None, "it is bound and does not listen"
        listener.listen()
        assert listener_of(port) == os.getpid()
    assert listener_of(port) is None
