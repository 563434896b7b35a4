"""A kill at every stage: nothing is left running, and the next command works."""

import json
import signal

import psutil
import pytest

pytestmark = pytest.mark.slow

MARKS = {
    "build": "converting weights",
    "serve": "loading weights",
    "smoke": "✓ serve",
    "bench": "concurrency 1",
}


def wait_for(process, mark: str) -> None:
    """Until the check has said `mark` on standard error."""
    assert process.stderr is not None
    for line in process.stderr:
        if mark in line:
            return
    pytest.fail(f"the check ended without saying {mark!r}")


@pytest.mark.parametrize("stage", MARKS)
def test_kill_of_the_tool_leaves_nothing_behind(tool, eventually, stage):
    process = tool.start("check", "--target", "cpu")
    wait_for(process, MARKS[stage])
    process.kill()
    process.communicate()
    eventually(lambda: not tool.left_running())
    status = tool.run("status", "--json")
    assert status.returncode == 0, status.stderr
    assert "ready" not in status.stdout
    again = tool.run("check", "--target", "cpu", "--json")
    assert again.returncode == 0, again.stdout + again.stderr
    kept = {path.name for path in (tool.folder / "trt-nemotron-check").iterdir()}
    assert not {name for name in kept if name.startswith(".") and name != ".lock"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_check_stops_its_server_and_records_how_far_it_came(
    tool, eventually, number, code
):
    process = tool.start("check", "--target", "cpu")
    wait_for(process, MARKS["bench"])
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err
    eventually(lambda: not tool.left_running())
    record = json.loads((tool.folder / "trt-nemotron-check" / "check.json").read_text())
    assert record["exit_code"] == code
    assert {stage["name"]: stage["status"] for stage in record["stages"]}["bench"] == "failed"


@pytest.mark.parametrize("stage", ["smoke", "bench"])
def test_kill_of_the_server_is_reported_as_what_it_is(tool, stage):
    process = tool.start("check", "--target", "cpu")
    wait_for(process, MARKS[stage])
    servers = [
        found for found in tool.left_running() if "llamacpp.launcher" in " ".join(found.cmdline())
    ]
    assert servers
    for server in servers:
        server.send_signal(signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 9, err
    assert "Traceback" not in err
    psutil.wait_procs(servers, timeout=10)


def test_second_check_into_the_same_folder_is_refused(tool):
    first = tool.start("check", "--target", "cpu")
    wait_for(first, MARKS["serve"])
    second = tool.run("check", "--target", "cpu")
    assert second.returncode == 3
    assert "--out" in second.stderr
    _, err = first.communicate(timeout=120)
    assert first.returncode == 0, err
