"""serve, status, logs and stop, as a person or a script runs them."""

import json
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

pytestmark = pytest.mark.slow


def detached(tool: Any, *arguments: str, double: tuple[str, ...] = ()) -> dict:
    process = tool.serve("--detach", "--json", *arguments, double=double)
    assert process.wait(60) == 0, tool.output(process)[1]
    return json.loads(tool.output(process)[0])


def crash(url: str) -> None:
    """Have the server double end in the middle of an answer."""
    with requests.Session() as session:
        session.trust_env = False
        with pytest.raises(requests.ConnectionError):
            session.get(f"{url}/crash", timeout=30)


@pytest.fixture
def stopped(tool: Any):
    """Stop whatever a test leaves detached."""
    yield
    tool("stop", "--all")


@pytest.mark.usefixtures("stopped")
def test_the_life_of_a_detached_server(tool: Any):
    endpoint = detached(tool)
    assert endpoint["state"] == "ready"
    assert endpoint["url"].startswith("http://127.0.0.1:")

    code, out, _ = tool("status", "--json")
    assert code == 0
    (seen,) = json.loads(out)["endpoints"]
    assert seen["endpoint"] == endpoint
    assert seen["uptime_s"] >= 0
    assert seen["rss_bytes"] > 1 << 20

    code, out, err = tool("status")
    assert (code, out) == (0, "")
    assert "demo" in err
    assert "ready" in err
    assert "MiB" in err

    code, out, _ = tool("logs", "demo", "-n", "1")
    assert code == 0
    assert out.count("\n") == 1
    assert "POST /v1/chat/completions" in out

    code, out, _ = tool("stop", "demo", "--dry-run", "--json")
    assert (code, json.loads(out)["is_dry_run"]) == (0, True)
    assert len(tool.traces.servers()) == 1

    code, _, err = tool("stop", "demo")
    assert (code, err) == (0, f"stopped demo ({endpoint['url']})\n")
    assert not tool.traces.all()
    assert not tool.traces.documents()

    code, out, _ = tool("logs", "demo", "--json")
    assert "loading weights" in json.loads(out)["lines"]


def test_a_server_in_the_foreground_shows_phases_and_how_to_try_it(
    tool: Any, eventually: Callable[..., Any]
):
    process = tool.serve()
    tool.wait_until(process, lambda: "Ctrl-C" in tool.output(process)[1], "it says how to stop it")
    out, err = tool.output(process)
    assert out == ""
    phases = ("starting the server", "loading weights", "waiting for a first token", "ready http")
    assert [err.index(phase) for phase in phases] == sorted(err.index(phase) for phase in phases)
    assert "curl -s http://127.0.0.1:" in err
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert "error" not in tool.output(process)[1]


def test_the_curl_line_is_one_that_works(tool: Any, eventually: Callable[..., Any]):
    import shlex

    process = tool.serve()
    tool.wait_until(process, lambda: "Ctrl-C" in tool.output(process)[1], "ready")
    (line,) = [text for text in tool.output(process)[1].splitlines() if "curl" in text]
    _, _, url, _, header, _, body = shlex.split(line.split("try", 1)[1])
    name, _, value = header.partition(": ")
    with requests.Session() as session:
        session.trust_env = False
        answer = session.post(url, data=body, headers={name: value}, timeout=30)
    assert answer.json()["choices"]
    process.terminate()
    assert process.wait(60) == 0


def test_json_in_the_foreground_is_the_endpoint_once_it_is_ready(
    tool: Any, eventually: Callable[..., Any]
):
    process = tool.serve("--json")
    tool.wait_until(
        process, lambda: tool.output(process)[0].endswith("}\n"), "the endpoint is printed"
    )
    assert json.loads(tool.output(process)[0])["state"] == "ready"
    assert tool("stop", "demo")[0] == 0
    assert process.wait(60) == 0
    assert "stopped by another command" in tool.output(process)[1]


def test_a_crash_while_serving_is_exit_code_9(tool: Any):
    process = tool.serve()
    crash(tool.wait_for("ready").url)
    assert process.wait(60) == 9
    _, err = tool.output(process)
    assert "exit code 42" in err
    assert "illegal memory access" in err


def test_a_crash_at_start_is_exit_code_9_and_json_on_request(tool: Any):
    process = tool.serve("--json", double=("--crash-at-start", "out of memory"))
    assert process.wait(60) == 9
    error = json.loads(tool.output(process)[0])["error"]
    assert error["kind"] == "ServerFailed"
    assert "does not fit into memory" in error["message"]
    assert tool("status", "--json")[1].count("demo") == 0


def test_not_ready_in_time_is_exit_code_9(tool: Any):
    process = tool.serve("--timeout", "1", double=("--never-listen",))
    assert process.wait(60) == 9
    assert "not ready after 1 s" in tool.output(process)[1]


@pytest.mark.usefixtures("stopped")
def test_a_detached_server_that_crashed_is_shown_with_its_reason(
    tool: Any, eventually: Callable[..., Any]
):
    crash(detached(tool)["url"])
    tool.wait_for("crashed")
    eventually(lambda: not tool.traces.all(), "all ended")
    code, _, err = tool("status")
    assert code == 0
    assert "crashed" in err
    assert "exit code 42" in err
    assert "trt-nemotron logs demo" in err
    assert "illegal memory access" in tool("logs", "demo")[1]
    assert tool("stop", "demo")[0] == 0
    assert "no servers" in tool("status")[2]


@pytest.mark.usefixtures("stopped")
def test_of_several_tools_one_gets_the_name(tool: Any):
    tools = [tool.serve("--detach") for _ in range(4)]
    codes = sorted(process.wait(60) for process in tools)
    assert codes == [0, 3, 3, 3]
    refused = next(process for process in tools if process.returncode == 3)
    assert "a server called demo is already" in tool.output(refused)[1]
    assert "trt-nemotron stop demo" in tool.output(refused)[1]
    assert len(tool.traces.servers()) == len(tool.traces.guards()) == 1


def test_dry_run_refuses_a_secret_that_is_not_set_as_the_start_does(tool: Any):
    code, out, err = tool("serve", str(tool.bundle), "--dry-run", "--secret", "NO_SUCH_SECRET")
    assert (code, out) == (2, "")
    assert "NO_SUCH_SECRET" in err


def test_dry_run_starts_nothing_and_shows_what_it_would(tool: Any):
    code, out, err = tool("serve", str(tool.bundle), "--dry-run", "--port", "8123")
    assert (code, out) == (0, "")
    assert "--port 8123" in err
    code, out, _ = tool("serve", str(tool.bundle), "--dry-run", "--json")
    assert tool.traces.marker in json.loads(out)["argv"]
    assert not tool.traces.folder.exists()


@pytest.mark.usefixtures("stopped")
def test_following_a_log_ends_with_the_server(tool: Any, eventually: Callable[..., Any]):
    endpoint = detached(tool)
    following = tool.begin("logs", "demo", "--follow", "-n", "0")
    time.sleep(0.3)
    with requests.Session() as session:
        session.trust_env = False
        eventually(
            lambda: (
                session.get(f"{endpoint['url']}/health", timeout=30)
                and "GET /health" in tool.output(following)[0]
            ),
            "what is new is shown",
        )
    assert "loading weights" not in tool.output(following)[0]
    assert tool("stop", "demo")[0] == 0
    assert following.wait(60) == 0


@pytest.mark.usefixtures("stopped")
def test_following_a_log_ends_with_ctrl_c(tool: Any, eventually: Callable[..., Any]):
    detached(tool)
    following = tool.begin("logs", "demo", "--follow")
    tool.wait_until(following, lambda: "loading weights" in tool.output(following)[0], "it follows")
    following.send_signal(signal.SIGINT)
    assert following.wait(60) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("serve", "/no/such/bundle"), 2, "there is no bundle at /no/such/bundle"),
        (("stop",), 2, "--all"),
        (("stop", "--all", "demo"), 2, "--all"),
        (("stop", "nobody"), 2, "no server called nobody"),
        (("stop", "--all"), 0, "no servers to stop"),
        (("logs", "nobody"), 2, "no server called nobody has a log"),
        (("logs", "../../etc/passwd"), 2, "cannot name a server"),
        (("logs", "demo", "--follow", "--json"), 2, "--follow"),
        (("status",), 0, "no servers"),
    ],
)
def test_clear_words_and_a_fixed_exit_code(
    tool: Any, arguments: tuple[str, ...], code: int, words: str
):
    found, _, err = tool(*arguments)
    assert (found, words in err) == (code, True), err


def test_bad_names_and_ports_are_refused_before_anything_starts(tool: Any):
    serve = ("serve", str(tool.bundle))
    assert tool(*serve, "--name", "../x")[0] == 2
    assert tool(*serve, "--port", "70000")[0] == 2
    assert not tool.traces.all()
