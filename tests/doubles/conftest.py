"""The double of `trtllm-serve`, in this process for its arguments and in one of its own."""

import io
import os
import re
import shlex
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.doubles.trtllm_serve import main as double
from tests.doubles.trtllm_serve.contract import RELEASE_VARIABLE
from tests.doubles.trtllm_serve.faults import FAULT_VARIABLE
from tests.doubles.trtllm_serve.installing import install_double
from trt_nemotron.deploy.serving.ports import free_port

EMBEDDED = Path(__file__).resolve().parents[2] / "trt_nemotron" / "embedded"


@dataclass(frozen=True)
class Ended:
    """How a start ended, and all that it printed."""

    code: int
    text: str


CheckArguments = Callable[..., Ended]


@pytest.fixture
def check_arguments(monkeypatch: pytest.MonkeyPatch) -> CheckArguments:
    """`check_arguments(release, *words)`: what the double says of a command line and its file."""

    def check(release: str, *words: str) -> Ended:
        monkeypatch.setenv(RELEASE_VARIABLE, release)
        monkeypatch.setenv(double.CHECK_VARIABLE, "1")
        out = io.StringIO()
        with redirect_stdout(out), redirect_stderr(out), pytest.raises(SystemExit) as ended:
            double.main(list(words))
        return Ended(int(ended.value.code or 0), out.getvalue())

    return check


@dataclass
class Double:
    """The double in a process of its own; all of them end with the test."""

    program: Path
    port: int
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self, *words: str, model: Path = EMBEDDED) -> None:
        command = [str(self.program), str(model), "--host", "127.0.0.1", "--port", str(self.port)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *words], stdout=log, stderr=log, env=self.environment
            )

    @property
    def text(self) -> str:
        return self.log.read_text()

    def wait_for(self, pattern: str, timeout_s: float = 60) -> None:
        deadline = time.monotonic() + timeout_s
        while not re.search(pattern, self.text):
            assert self.process is not None
            assert self.process.poll() is None, self.text
            assert time.monotonic() < deadline, self.text
            time.sleep(0.05)

    def wait_until_ended(self) -> int:
        assert self.process is not None
        return self.process.wait(timeout=60)

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.wait_until_ended()

    def get(self, route: str, body: bytes | None = None) -> tuple[int, bytes]:
        url = f"http://127.0.0.1:{self.port}{route}"
        request = urllib.request.Request(url, data=body)
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310 - loopback
                return reply.status, reply.read()
        except urllib.error.HTTPError as fault:
            return fault.code, fault.read()


@pytest.fixture
def trtllm_serve(tmp_path: Path) -> Iterator[Callable[..., Double]]:
    """`trtllm_serve(release, fault="exit:graphs", **environment)`: a double that is not started."""
    made: list[Double] = []

    def make(release: str = "1.3.0rc14", fault: str = "", **variables: str) -> Double:
        number = len(made)
        program = install_double(tmp_path / f"bin-{number}", release)
        environment = {**os.environ, **variables, FAULT_VARIABLE: fault}
        made.append(Double(program, free_port(), tmp_path / f"log-{number}", environment))
        return made[-1]

    yield make
    for one in made:
        if one.process is not None and one.process.poll() is None:
            one.process.kill()
            one.process.wait()


@pytest.fixture(scope="session")
def handmade_command() -> Callable[[Path], tuple[str, list[str]]]:
    """The release and the words of the command in the head of a ready-made configuration."""

    def read(path: Path) -> tuple[str, list[str]]:
        text = path.read_text()
        release = re.search(r"with TensorRT-LLM (\S+), planned", text)
        command = re.search(r"^#\s+(trtllm-serve .*)$", text, re.MULTILINE)
        assert release, path
        assert command, path
        return release[1], shlex.split(command[1])[1:]

    return read
