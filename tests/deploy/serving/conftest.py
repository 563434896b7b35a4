"""A bundle to serve, doubles to serve it with, and the proof that nothing was left behind."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.deploy.serving.runtime_double import RuntimeDouble
from tests.deploy.small_shape import SMALL_SHAPE
from trt_nemotron.deploy.bundle.reader import read_bundle
from trt_nemotron.deploy.bundle.values import BundleFile, Manifest, sealed
from trt_nemotron.deploy.plan import Ledger, Plan, PlannedCheckpoint
from trt_nemotron.deploy.serving.registry import Registry
from trt_nemotron.deploy.serving.running import RunningServer
from trt_nemotron.deploy.serving.server import start_server
from trt_nemotron.deploy.serving.values import Endpoint
from trt_nemotron.document import sha256_of, write_document

HERE = Path(__file__).parent
PATIENCE_S = 60.0
"""Deadline of every wait: however loaded the machine is, only a fault makes it pass."""


def eventually(condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """The first true value of `condition`; fails when there is none in time."""
    deadline = time.monotonic() + patience_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"in {patience_s} s never: {what}"
        time.sleep(0.02)


@pytest.fixture(name="eventually")
def eventually_fixture() -> Callable[..., Any]:
    return eventually


def live_processes(is_wanted: Callable[[psutil.Process], bool]) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.status() != psutil.STATUS_ZOMBIE and is_wanted(process):
                found.append(process)
    return found


@dataclass
class Traces:
    """What a test's servers leave in the process table."""

    marker: str
    folder: Path

    def servers(self) -> list[psutil.Process]:
        """The server double and all it started that live."""
        return live_processes(lambda process: self.marker in process.cmdline())

    def guards(self) -> list[psutil.Process]:
        return live_processes(
            lambda process: (
                process.cwd() == str(self.folder)
                and any(part.endswith("guard.py") for part in process.cmdline())
            )
        )

    def all(self) -> list[psutil.Process]:
        return self.servers() + self.guards()

    def documents(self) -> list[Path]:
        return sorted(self.folder.glob("*.json*"))


@pytest.fixture
def traces(state_folder: Path) -> Iterator[Traces]:
    """Traces of this test; at its end there may be none."""
    traces = Traces(f"marker-{secrets.token_hex(8)}", state_folder / "servers")
    yield traces
    try:
        eventually(lambda: not traces.all(), f"all gone: {traces.all()}", 15.0)
    finally:
        for process in traces.all():
            with suppress(psutil.Error):
                process.kill()


@pytest.fixture
def registry(traces: Traces) -> Registry:
    return Registry(traces.folder)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A whole bundle of a model called `double`."""
    return make_bundle(tmp_path / "bundle")


def make_bundle(folder: Path) -> Path:
    plan = Plan(
        target="cpu", runtime="llamacpp", release="double", precision="f16",
        served_model_name="double", choices=(),
        ledger=Ledger(lines=(), memory_total_bytes=1 << 30),
        checkpoint=PlannedCheckpoint(
            name="double", format="gguf", quantization="F16", parameters=1, weight_bytes=2,
            shape=SMALL_SHAPE,
        ),
    )  # fmt: skip
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "weights.gguf").write_bytes(b"GGUF")
    write_document(folder / "plan.json", plan)
    names = ("model/weights.gguf", "plan.json")
    files = tuple(
        BundleFile(path=name, size_bytes=(folder / name).stat().st_size, sha256="0" * 64)
        for name in names
    )
    manifest = Manifest(
        name="double", tool_version="0", target="cpu", runtime="llamacpp", release="double",
        served_model_name="double", configuration_sha256=sha256_of(plan),
        model_path="model/weights.gguf", files=files,
    )  # fmt: skip
    write_document(folder / "manifest.json", sealed(manifest))
    return folder


@dataclass
class Starter:
    """Starts servers in this process and ends those that a test leaves."""

    bundle: Path
    registry: Registry
    traces: Traces
    started: list[RunningServer] = field(default_factory=list)

    def runtime(self, *options: str, **more: Any) -> Any:
        return RuntimeDouble(self.traces.marker, *options, **more)

    def __call__(self, *options: str, runtime: Any = None, **more: Any) -> RunningServer:
        manifest, plan = read_bundle(self.bundle)
        arguments: dict[str, Any] = {"timeout_s": PATIENCE_S, "grace_s": 5.0, **more}
        server = start_server(
            self.bundle,
            manifest,
            plan,
            runtime or self.runtime(*options),
            registry=self.registry,
            **arguments,
        )
        self.started.append(server)
        return server


@pytest.fixture
def start(bundle: Path, registry: Registry, traces: Traces) -> Iterator[Starter]:
    starter = Starter(bundle, registry, traces)
    yield starter
    for server in starter.started:
        server.stop()


class Tool:
    """The command line in processes of its own."""

    def __init__(self, traces: Traces, bundle: Path, folder: Path) -> None:
        self.traces = traces
        self.bundle = bundle
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []

    def begin(self, *arguments: str, double: tuple[str, ...] = ()) -> "subprocess.Popen[bytes]":
        """Start a command; its output goes to files."""
        number = len(self._running)
        environment = {**os.environ, "SERVER_DOUBLE": json.dumps([self.traces.marker, *double])}
        with (
            (self._folder / f"{number}.out").open("wb") as stdout,
            (self._folder / f"{number}.err").open("wb") as stderr,
        ):
            process = subprocess.Popen(
                [sys.executable, str(HERE / "tool_double.py"), *arguments],
                env=environment,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        self._running.append(process)
        return process

    def output(self, process: "subprocess.Popen[bytes]") -> tuple[str, str]:
        number = self._running.index(process)
        return (
            (self._folder / f"{number}.out").read_text(),
            (self._folder / f"{number}.err").read_text(),
        )

    def __call__(self, *arguments: str, double: tuple[str, ...] = ()) -> tuple[int, str, str]:
        """Run a command to its end: exit code, standard output, standard error."""
        process = self.begin(*arguments, double=double)
        code = process.wait(PATIENCE_S)
        return code, *self.output(process)

    def serve(self, *arguments: str, double: tuple[str, ...] = ()) -> "subprocess.Popen[bytes]":
        return self.begin("serve", str(self.bundle), "--name", "demo", *arguments, double=double)

    def endpoint(self) -> Endpoint | None:
        return Registry(self.traces.folder).read("demo")

    def wait_until(
        self, process: "subprocess.Popen[bytes]", condition: Callable[[], Any], what: str
    ) -> None:
        """Wait for `condition`, as long as the command runs."""

        def is_decided() -> bool:
            return bool(condition()) or process.poll() is not None

        eventually(is_decided, what)
        assert condition(), f"{what}: exit {process.poll()}\n{self.output(process)[1]}"

    def wait_for(self, state: str) -> Endpoint:
        def found() -> Endpoint | None:
            endpoint = self.endpoint()
            return endpoint if endpoint is not None and endpoint.state == state else None

        endpoint: Endpoint = eventually(found, f"state {state}")
        return endpoint

    def end_all(self) -> None:
        for process in self._running:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait(PATIENCE_S)


@pytest.fixture
def tool(traces: Traces, bundle: Path, tmp_path: Path) -> Iterator[Tool]:
    tool = Tool(traces, bundle, tmp_path)
    yield tool
    tool.end_all()
