"""Whoever is killed, and whenever: nothing is left behind, and the next command works."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from trt_nemotron.deploy.serving.lifeline import Lifeline
from trt_nemotron.deploy.serving.registry import list_endpoints
from trt_nemotron.deploy.serving.stopping import stop_endpoint

pytestmark = pytest.mark.slow

SLOW_TO_LISTEN = ("--listen-after", "3600")
SLOW_TO_LOAD = ("--healthy-after", "3600")
NO_TOKEN = ("--no-token", "hang")
STAGES = {
    "before it listens": SLOW_TO_LISTEN,
    "before it is healthy": SLOW_TO_LOAD,
    "before its first token": NO_TOKEN,
    "ready": (),
}
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")


def reach(tool: Any, stage: str, *more: str) -> "subprocess.Popen[bytes]":
    """A tool in the foreground whose server is in this stage."""
    process = tool.serve(double=(*STAGES[stage], *more))
    log = tool.traces.folder / "demo.log"
    words = {
        "before it listens": "loading weights",
        "before it is healthy": "GET /health",
        "before its first token": "hanging",
        "ready": "POST /v1/chat/completions",
    }
    tool.wait_until(process, lambda: log.is_file() and words[stage] in log.read_text(), stage)
    if stage == "ready":
        tool.wait_until(process, lambda: "Ctrl-C" in tool.output(process)[1], "it says so")
    return process


@pytest.fixture
def checked_tool(tool: Any, start: Any, eventually: Callable[..., Any]):
    """A tool after whose test everything must be gone, and work again."""
    yield tool
    eventually(lambda: not tool.traces.all(), "nothing runs")
    assert not {"starting", "ready"} & {known.endpoint.state for known in list_endpoints()}
    with start(name="demo") as server:
        assert server.endpoint.state == "ready"
    assert not tool.traces.all()
    assert not tool.traces.documents()


@pytest.mark.parametrize(
    ("number", "stage"),
    [
        *((signal.SIGKILL, stage) for stage in STAGES),
        (signal.SIGINT, "before it listens"),
        (signal.SIGTERM, "before its first token"),
        (signal.SIGINT, "ready"),
        (signal.SIGTERM, "ready"),
        (signal.SIGHUP, "ready"),
    ],
)
def test_the_tool_ends(checked_tool: Any, stage: str, number: int, eventually: Callable[..., Any]):
    process = reach(checked_tool, stage, "--grandchild", "session")
    process.send_signal(number)
    code = process.wait(60)
    if number in {signal.SIGKILL, signal.SIGHUP}:
        assert code == -number
    elif stage == "ready":
        assert code == 0  # the way to stop a server in the foreground
    else:
        assert code == 128 + number
    eventually(lambda: not checked_tool.traces.all(), "nothing runs")
    eventually(lambda: not checked_tool.traces.documents(), "nothing is on record")


@pytest.mark.parametrize("stage", STAGES)
def test_the_server_is_killed(checked_tool: Any, stage: str):
    process = reach(checked_tool, stage)
    for server in checked_tool.traces.servers():
        server.kill()
    assert process.wait(60) == 9
    _, err = checked_tool.output(process)
    assert "SIGKILL" in err
    assert "loading weights" in err
    assert not checked_tool.traces.documents()


@on_linux
@pytest.mark.parametrize("stage", ["before its first token", "ready"])
def test_the_guard_is_killed(checked_tool: Any, stage: str):
    process = reach(checked_tool, stage, "--grandchild", "session")
    for guard in checked_tool.traces.guards():
        guard.kill()
    assert process.wait(60) == 9
    _, err = checked_tool.output(process)
    assert "the process that guards it was killed" in err
    assert not checked_tool.traces.all()  # the grandchild too: the tool has swept
    assert not checked_tool.traces.documents()


@on_linux
def test_tool_and_guard_are_killed_at_once(checked_tool: Any, eventually: Callable[..., Any]):
    """Nobody of ours is left to do anything: the kernel alone ends the server."""
    process = reach(checked_tool, "ready", "--ignore-sigterm")
    guards = checked_tool.traces.guards()
    process.send_signal(signal.SIGSTOP)
    for guard in guards:
        guard.kill()
    eventually(lambda: not checked_tool.traces.all(), "the kernel has killed the server")
    process.kill()
    process.wait(60)
    (known,) = list_endpoints()
    assert (known.endpoint.state, known.uptime_s) == ("crashed", None)


@on_linux
def test_the_guard_of_a_detached_server_is_killed(
    checked_tool: Any, eventually: Callable[..., Any]
):
    code, _, err = checked_tool(
        "serve", str(checked_tool.bundle), "--name", "demo", "--detach",
        double=("--grandchild", "session"),
    )  # fmt: skip
    assert code == 0, err
    endpoint = checked_tool.endpoint()
    os.kill(endpoint.guard_pid, signal.SIGKILL)
    servers = checked_tool.traces.servers
    eventually(lambda: endpoint.server_pid not in {s.pid for s in servers()}, "the kernel kills it")
    assert len(servers()) == 1  # of the grandchild the kernel knows nothing
    code, out, _ = checked_tool("status", "--json")
    assert code == 0
    assert "its guard is gone" in out
    assert not checked_tool.traces.all()  # but the next command does


def test_a_detached_server_survives_the_tool(checked_tool: Any):
    process = checked_tool.serve("--detach")
    assert process.wait(60) == 0
    endpoint = checked_tool.endpoint()
    assert endpoint.state == "ready"
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # it is in no group of the tool's
    assert [server.pid for server in checked_tool.traces.servers()] == [endpoint.server_pid]
    stop_endpoint("demo")


def test_the_tool_is_killed_before_a_guard_has_orders(checked_tool: Any):
    """The narrowest moment: a guard without a server ends with the tool, leaving no document."""
    folder = checked_tool.traces.folder
    folder.mkdir(parents=True)
    lifeline = Lifeline.to_new_guard(folder=folder, log=folder / "demo.log")
    lifeline.close()
    assert lifeline.wait_for_end(60)
    assert not checked_tool.traces.documents()


def test_a_second_ctrl_c_kills_a_stubborn_server(checked_tool: Any, eventually: Callable[..., Any]):
    process = reach(checked_tool, "ready", "--ignore-sigterm", "--grandchild", "stubborn")
    process.send_signal(signal.SIGINT)
    output = checked_tool.output
    checked_tool.wait_until(process, lambda: "stopping" in output(process)[1], "it stops")
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert time.monotonic() - began < 8  # the grace time is 10 s
    assert not checked_tool.traces.all()
