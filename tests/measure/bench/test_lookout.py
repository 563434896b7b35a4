"""What else went on: a real neighbour, a real server, and files as the kernel lays them out."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from trt_nemotron.measure.bench.clock import SystemClock
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.lookout import Glance, Lookout, open_lookout
from trt_nemotron.measure.bench.throttling import Places, Throttles
from trt_nemotron.measure.bench.values import Throttled

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")

LEG = Leg(concurrency=2)
SPAN_S = 1.5
BUSY = "import sys, time\nprint(flush=True)\nwhile True: pass"
SERVER = """
import socket
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    while True: pass
"""


@contextmanager
def started(program: str) -> Iterator[str]:
    """A program that is no child of ours, as a neighbour is none; the first line that it says."""
    starter = subprocess.Popen(
        ["setsid", "--fork", sys.executable, "-c", f"import os\nprint(os.getpid())\n{program}"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert starter.stdout is not None
    pid = int(starter.stdout.readline())
    try:
        yield starter.stdout.readline()
    finally:
        os.kill(pid, 9)
        starter.communicate()


def while_idle(lookout: Lookout) -> tuple[float, float]:
    """Seconds that client and server computed, and processors that others kept busy."""
    before = lookout.look()
    time.sleep(SPAN_S)
    after = lookout.look()
    found = lookout.compare(LEG, before, after)
    assert found.leg == LEG
    assert found.duration_s >= SPAN_S
    assert found.processors == os.cpu_count()
    assert found.other_load_processors is not None
    return after.ours_s - before.ours_s, found.other_load_processors


@pytest.mark.slow
def test_a_neighbour_is_seen_and_a_busy_server_is_none():
    """The same process that computes all the time: once as the server, once as a neighbour."""
    with started(SERVER) as port, socket.create_server(("127.0.0.1", 0)) as idle:
        as_server_s, _ = while_idle(Lookout(int(port), SystemClock()))
        nothing_s, others = while_idle(Lookout(idle.getsockname()[1], SystemClock()))
    assert as_server_s > 0.2  # however many share the processors
    assert nothing_s < 0.1
    assert others > 0.2 / SPAN_S


@pytest.mark.slow
def test_what_this_client_and_its_children_compute_is_its_own():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        lookout = Lookout(listener.getsockname()[1], SystemClock())
        child = subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        child.stdout.readline()
        before = lookout.look()
        time.sleep(SPAN_S)
        after = lookout.look()
        child.kill()
        child.communicate()
    assert after.ours_s - before.ours_s > 0.2
    assert after.busy_s - before.busy_s > 0.2


def proc_of(folder: Path, *, comm: str = "server", stat: str = "") -> Path:
    """A /proc with a process 42 that listens on port 8000, and this one."""
    for pid in (42, os.getpid()):
        (folder / str(pid) / "fd").mkdir(parents=True, exist_ok=True)
        (folder / str(pid) / "task" / str(pid)).mkdir(parents=True, exist_ok=True)
        (folder / str(pid) / "task" / str(pid) / "children").write_text("")
    (folder / "42" / "fd" / "3").symlink_to("socket:[777]")
    (folder / "42" / "comm").write_text(f"{comm}\n")
    (folder / "net").mkdir()
    row = "0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 777 1"
    (folder / "net" / "tcp").write_text(f"  sl  local_address ...\n   {row}\n")
    (folder / "stat").write_text(stat or "cpu  1 2 3 4 5 6 7 8 9 10\n")
    return folder


def lookout_of(folder: Path, **parts: str) -> Lookout:
    proc = proc_of(folder / "proc", **parts)
    return Lookout(8000, SystemClock(), Throttles(Places(folder / "sys", "none")), proc)


def test_busy_and_stolen_time_are_those_of_the_kernel(tmp_path: Path):
    ticks = os.sysconf("SC_CLK_TCK")
    stat = "cpu  100 20 3000 40000 500000 6 70 800 9 9\ncpu0 1 1 1 1 1 1 1 1 1 1\n"
    seen = lookout_of(tmp_path, stat=stat).look()
    assert seen.busy_s == pytest.approx((100 + 20 + 3000 + 6 + 70) / ticks)
    assert seen.stolen_s == pytest.approx(800 / ticks)


def test_load_is_what_neither_client_nor_server_computed(tmp_path: Path):
    lookout = lookout_of(tmp_path)
    before = Glance(10**9, busy_s=100.0, stolen_s=1.0, ours_s=50.0)
    after = Glance(5 * 10**9, busy_s=107.0, stolen_s=3.0, ours_s=51.0)
    found = lookout.compare(LEG, before, after)
    assert found.duration_s == 4.0
    assert found.other_load_processors == pytest.approx((7.0 - 1.0) / 4.0)
    assert found.stolen_processors == pytest.approx(0.5)
    rounded = Glance(5 * 10**9, busy_s=100.9, stolen_s=1.0, ours_s=51.0)
    assert lookout.compare(LEG, before, rounded).other_load_processors == 0.0


def test_throttling_is_told_by_what_it_was_and_only_where_it_was(tmp_path: Path):
    before = Glance(0, throttled_s={"GPU 0, a": 1.0, "GPU 0, b": 2.0}, active=("cpufreq-cpu0",))
    after = Glance(10**9, throttled_s={"GPU 0, a": 1.0, "GPU 0, b": 2.5}, active=("devfreq-g",))
    found = lookout_of(tmp_path).compare(LEG, before, after)
    assert found.throttled == (Throttled(what="GPU 0, b", seconds=0.5),)
    assert found.lowered_clocks == ("cpufreq-cpu0", "devfreq-g")


@pytest.mark.parametrize("comm", ["docker-proxy", "rootlessport-ch", "pasta.avx2", "conmon"])
def test_of_a_server_behind_a_proxy_of_containers_no_load_is_told(tmp_path: Path, comm: str):
    lookout = lookout_of(tmp_path, comm=comm)
    before, after = Glance(0, busy_s=1.0), Glance(10**9, busy_s=9.0, stolen_s=0.5)
    found = lookout.compare(LEG, before, after)
    assert found.other_load_processors is None
    assert found.stolen_processors == pytest.approx(0.5)


def test_where_nobody_is_seen_to_listen_no_load_is_told(tmp_path: Path):
    proc = proc_of(tmp_path / "proc")
    lookout = Lookout(8001, SystemClock(), Throttles(Places(tmp_path, "none")), proc)
    assert lookout.compare(LEG, Glance(0), Glance(10**9, busy_s=2.0)).other_load_processors is None


@pytest.mark.parametrize("text", ["", "cpu\n", "cpu a b c\n"])
def test_a_page_that_is_none_counts_as_nothing(tmp_path: Path, text: str):
    lookout = lookout_of(tmp_path)
    (tmp_path / "proc" / "stat").write_text(text)
    assert lookout.look().busy_s == 0.0


def test_only_a_server_on_this_machine_has_a_lookout():
    assert open_lookout("192.0.2.7", 8000, SystemClock()) is None
    assert open_lookout("::1%lo", 8000, SystemClock()) is not None
    assert open_lookout("127.0.0.1", 8000, SystemClock()) is not None
