import os
import subprocess
import sys
from pathlib import Path

import pytest

from trt_nemotron.pipeline.ab_place import allowed_cores, choose_cores, hold


class Plan:
    """The part of a plan that is asked: a double as strict as the real one about missing names."""

    def __init__(self, **choices: int) -> None:
        self._choices = choices

    def int_choice(self, name: str) -> int:
        return self._choices[name]


class Manifest:
    def __init__(self, target: str = "cpu") -> None:
        self.target = target


def arms(*threads: int, target: str = "cpu"):
    return [(Manifest(target), Plan(n_threads=count)) for count in threads]


@pytest.mark.parametrize(
    ("found", "allowed", "cores"),
    [
        (arms(1, 1), (0, 1), (1,)),
        (arms(2, 1), (0, 1, 4, 5), (4, 5)),
        (arms(4, 4), (0, 1, 2, 3), ()),
        (arms(1, 1), (3,), ()),
        (arms(1, 1), (), ()),
        (arms(1, 1, target="spark"), (0, 1), ()),
        ([(Manifest(), Plan()), (Manifest(), Plan(n_threads=1))], (0, 1), ()),
    ],
)
def test_both_get_as_many_processors_as_the_one_with_more_threads(found, allowed, cores):
    assert choose_cores(found, allowed) == cores


@pytest.mark.skipif(len(allowed_cores()) < 2, reason="needs two processors")
def test_a_process_its_children_and_their_threads_are_held():
    code = (
        "import subprocess, sys, threading, time\n"
        "threading.Thread(target=time.sleep, args=(30,), daemon=True).start()\n"
        "child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(30)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(30)\n"
    )
    parent = subprocess.Popen([sys.executable, "-S", "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    core = allowed_cores()[-1]
    try:
        hold(parent.pid, (core,))
        threads = [int(thread.name) for thread in Path(f"/proc/{parent.pid}/task").iterdir()]
        assert len(threads) == 2
        assert all(os.sched_getaffinity(thread) == {core} for thread in (*threads, child))
        hold(2**22 + 1, (core,))  # nobody
    finally:
        os.kill(child, 9)
        parent.kill()
        parent.wait()
        parent.stdout.close()
