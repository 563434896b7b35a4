"""A real headless Chromium, spoken to over its DevTools protocol."""

import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trt_nemotron.measure.gate.budget import AbsoluteBound, Budget
from trt_nemotron.measure.gate.judge import judge
from trt_nemotron.measure.report.contents import (
    EMBEDDED_NOTICE,
    MemoryLine,
    PlanFacts,
    ReportContents,
    SettingLine,
)

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-default-apps", "--disable-extensions", "--disable-dev-shm-usage",
    "--metrics-recording-only", "--no-default-browser-check", "--remote-debugging-port=0",
    "--remote-allow-origins=*", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip
START_SECONDS = 45.0

PLAN = PlanFacts(
    target="cpu",
    runtime="llamacpp",
    release="2026.10.11549",
    model="trt-nemotron-embedded",
    precision="f16",
    parameters=862_664,
    memory=(
        MemoryLine(name="weights", size_bytes=1_781_344, formula="the tensors", status="exact"),
        MemoryLine(name="KV cache", size_bytes=2**20, formula="2 x 64 x 4096", status="exact"),
        MemoryLine(name="overhead", size_bytes=2**26, formula="an idle one", status="assumed"),
        MemoryLine(
            name="reserve", size_bytes=2**31, formula="the system's", status="assumed",
            is_reserve=True,
        ),
    ),
    memory_total_bytes=24 * 2**30,
    settings=(SettingLine(name="n_ctx", value="16384", reason="four slots of 4,096 tokens"),),
    warnings=("one thread only",),
)  # fmt: skip


class Tab:
    """One page of the browser: what it asks of the network and writes on its console is kept."""

    def __init__(self, address: str) -> None:
        import websocket

        self._socket = websocket.create_connection(address, timeout=30)
        self._numbers = itertools.count(1)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        for domain in ("Page", "Network", "Runtime", "Log", "DOM"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self._keep(message)

    def show(self, path: Path, *, width: int, height: int = 900, is_dark: bool = False) -> None:
        """Open a file at a width in CSS pixels, and wait until it is drawn."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.call("Emulation.setEmulatedMedia", media="screen", features=[scheme])
        self.requests.clear()
        self.complaints.clear()
        self.call("Page.navigate", url=path.as_uri())
        deadline = time.monotonic() + 20
        while self.evaluate("document.readyState + location.protocol") != "completefile:":
            assert time.monotonic() < deadline, "the page was not drawn"
            time.sleep(0.05)

    def evaluate(self, expression: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def screenshot(self, path: Path) -> None:
        """The whole page as PNG."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        self._socket.close()

    def _keep(self, message: dict[str, Any]) -> None:
        parameters = message.get("params", {})
        if message["method"] == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif message["method"] == "Log.entryAdded":
            self.complaints.append(parameters["entry"]["text"])
        elif message["method"] in {"Runtime.consoleAPICalled", "Runtime.exceptionThrown"}:
            self.complaints.append(json.dumps(parameters))


@contextlib.contextmanager
def running_chromium(profile: Path, program: str) -> Iterator[Tab]:
    """A tab of a browser of its own; the whole process group is ended afterwards."""
    command = [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    with (profile.parent / "chromium.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        tab = Tab(_tab_address(profile, process))
        yield tab
        tab.close()
    finally:
        _end(process)


def _tab_address(profile: Path, process: "subprocess.Popen[bytes]") -> str:
    import requests

    port_file = profile / "DevToolsActivePort"
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, "Chromium ended at once"
        assert time.monotonic() < deadline, "Chromium did not start"
        with contextlib.suppress(OSError, IndexError):
            port = port_file.read_text().splitlines()[0]
            with contextlib.suppress(requests.RequestException):
                listed = requests.get(f"http://127.0.0.1:{port}/json/list", timeout=5).json()
                pages = [entry for entry in listed if entry["type"] == "page"]
                if pages:
                    return str(pages[0]["webSocketDebuggerUrl"])
        time.sleep(0.1)


def _end(process: "subprocess.Popen[bytes]") -> None:
    import os
    import signal

    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal_number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
            return


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    pytest.importorskip("websocket", reason="websocket-client is not installed")
    program = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if program is None:
        pytest.skip("no Chromium on this machine: install the package `chromium`")
    profile = tmp_path_factory.mktemp("browser") / "profile"
    with running_chromium(profile, program) as tab:
        yield tab


@pytest.fixture
def whole_report(make_measurement: Any, make_smoke: Any) -> ReportContents:
    """A report with every part, of a run that passed."""
    run = make_measurement(concurrencies=(1, 4, 8), tokens=32, spread=0.3)
    smoke = make_smoke("pass", "pass", "skip", "pass")
    bounds = (
        AbsoluteBound(metric="ttft_p50_ms", concurrency=1, at_most=100.0),
        AbsoluteBound(metric="tokens_per_s", concurrency=4, at_least=10.0),
    )
    verdict = judge(Budget(target="cpu", bounds=bounds), run, smoke=smoke)
    return ReportContents(
        tool_version="0.1.0", measurement=run, verdict=verdict, smoke=smoke, plan=PLAN,
        notice=EMBEDDED_NOTICE,
    )  # fmt: skip
