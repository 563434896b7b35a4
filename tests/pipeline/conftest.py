"""What the tests of the whole pipeline share: the command itself, in processes of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest


@dataclass(frozen=True)
class Tool:
    """`trt-nemotron` in a folder and with a state folder of the test's own."""

    folder: Path
    environment: dict[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def run(self, *arguments: str, timeout_s: float = 180) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "trt_nemotron", *arguments],
            cwd=self.folder, env=self.environment, capture_output=True, text=True,
            check=False, timeout=timeout_s,
        )  # fmt: skip

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "trt_nemotron", *arguments],
            cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        self.started.append(process)
        return process

    def close(self) -> None:
        """End what the test started itself and did not wait for."""
        for process in self.started:
            process.kill()
            process.communicate()

    def left_running(self) -> list[psutil.Process]:
        """Every process that was started, directly or not, by a tool of this test."""
        marker = self.environment["TRT_NEMOTRON_STATE_DIR"]
        found = []
        for process in psutil.process_iter():
            try:
                mentions = [*process.cmdline(), *process.environ().values()]
            except psutil.Error:
                continue
            if process.pid != os.getpid() and any(marker in text for text in mentions):
                found.append(process)
        return found


@pytest.fixture
def tool(tmp_path: Path, state_folder: Path) -> Iterator[Tool]:
    tool = Tool(
        folder=tmp_path,
        environment={**os.environ, "TRT_NEMOTRON_STATE_DIR": str(state_folder)},
    )
    yield tool
    tool.close()
    deadline = time.monotonic() + 30
    while (leftovers := tool.left_running()) and time.monotonic() < deadline:
        time.sleep(0.1)
    for process in leftovers:
        process.kill()
    assert not leftovers, "a process outlived its test"


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Wait until a condition holds; the machine may be busy."""

    def wait(condition: Callable[[], bool], timeout_s: float = 30) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, "did not happen in time"
            time.sleep(0.05)

    return wait
