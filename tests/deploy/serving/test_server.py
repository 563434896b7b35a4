"""A server held by this process: real processes, real HTTP on loopback."""

import json
import os
import signal
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from trt_nemotron.deploy.runtimes.protocol import Place
from trt_nemotron.deploy.serving.registry import Registry
from trt_nemotron.deploy.serving.stopping import stop_endpoint
from trt_nemotron.deploy.serving.transport import Reply, send
from trt_nemotron.errors import EnvironmentUnfit, InvalidInput, ServerFailed


class Recorder:
    def __init__(self) -> None:
        self.phases: list[str] = []

    def phase(self, text: str) -> None:
        self.phases.append(text)

    def step(self, done: int, total: int, unit: str) -> None:
        pass

    def note(self, text: str) -> None:
        pass


def get(url: str) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, timeout=30)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_ready_server_answers_and_is_on_record(
    start: Any, registry: Registry, traces: Any, eventually: Callable[..., Any]
):
    progress = Recorder()
    with start(progress=progress) as server:
        endpoint = server.endpoint
        assert (endpoint.state, endpoint.model, endpoint.name) == ("ready", "double", "double")
        assert get(f"{endpoint.url}/health").status_code == 200
        assert registry.read("double") == endpoint
        assert [process.pid for process in traces.servers()] == [endpoint.server_pid]
        assert [process.pid for process in traces.guards()] == [endpoint.guard_pid]
    assert not traces.all()
    assert not traces.documents()
    assert "loading weights" in progress.phases
    assert progress.phases[-1] == "waiting for a first token"


def test_state_is_private(start: Any, registry: Registry):
    with start() as server:
        assert mode(registry.folder) == 0o700
        assert mode(Path(server.endpoint.log)) == 0o600
        assert mode(registry.document_path("double")) == 0o600


def test_the_server_inherits_neither_secrets_nor_mpi(start: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SOME_API_KEY", "sesame-open")
    monkeypatch.setenv("HF_TOKEN", "named-and-handed-on")
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "4")
    runtime = start.runtime()
    runtime.environment = {"ADDED": "yes"}
    runtime.secret_names = ("HF_TOKEN",)
    with start(runtime=runtime) as server:
        seen = get(f"{server.endpoint.url}/env").json()
    assert "SOME_API_KEY" not in seen
    assert "OMPI_COMM_WORLD_SIZE" not in seen
    assert (seen["HF_TOKEN"], seen["ADDED"]) == ("named-and-handed-on", "yes")
    assert seen["TRT_NEMOTRON_INSTANCE"] == server.endpoint.instance


def test_no_secret_is_written_to_the_record(
    start: Any, registry: Registry, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HF_TOKEN", "named-and-handed-on")
    runtime = start.runtime()
    runtime.secret_names = ("HF_TOKEN",)
    with start(runtime=runtime) as server:
        assert "named-and-handed-on" not in registry.document_path("double").read_text()
        assert not any("named-and" in part for part in start.traces.guards()[0].cmdline())
        assert server.endpoint.state == "ready"


@pytest.mark.slow
def test_a_slow_server_is_waited_for(start: Any):
    with start("--listen-after", "0.5", "--healthy-after", "0.5") as server:
        assert server.endpoint.state == "ready"


@pytest.mark.slow
def test_a_server_without_health_route_is_judged_by_its_token(start: Any):
    with start("--no-health") as server:
        assert server.endpoint.state == "ready"


@pytest.mark.slow
def test_a_server_that_lists_no_model_is_ready_only_where_that_is_known(start: Any):
    with pytest.raises(ServerFailed, match="/v1/models"):
        start("--no-models", timeout_s=1.5)
    runtime = start.runtime("--no-models")
    runtime.is_model_listed = False
    with start(runtime=runtime) as server:
        assert server.endpoint.state == "ready"


def test_a_port_is_chosen_for_a_server_that_cannot(start: Any):
    runtime = start.runtime(tells_address=False)
    with start(runtime=runtime) as server:
        asked, chosen = runtime.ports
        assert asked == 0
        assert server.endpoint.url == f"http://127.0.0.1:{chosen}"


def test_a_crash_at_start_is_noticed_at_once_with_its_cause(start: Any, traces: Any):
    began = time.monotonic()
    with pytest.raises(ServerFailed) as caught:
        start("--crash-at-start", "fatal: out of memory: 3 GB asked for")
    assert time.monotonic() - began < 30  # not the timeout, which is a minute here
    assert "exit code 1" in caught.value.message
    assert "the model does not fit into memory" in caught.value.message
    assert "3 GB asked for" in caught.value.evidence
    assert caught.value.next_step == "Plan with fewer slots: --slots 1"
    assert not traces.all()
    assert not traces.documents()


def test_a_crash_of_unknown_cause_points_at_the_log(start: Any, registry: Registry):
    with pytest.raises(ServerFailed) as caught:
        start("--crash-at-start", "fatal: the moon is full")
    assert "the moon is full" in caught.value.evidence
    assert str(registry.log_path("double")) in caught.value.next_step
    assert "the moon is full" in registry.log_path("double").read_text()


def test_a_program_that_cannot_be_started_is_named(start: Any):
    runtime = start.runtime()
    launch = runtime.launch
    argv = ("/no/such/server", "--flag")
    runtime.launch = lambda *args: type(launch(*args))(argv=argv, environment={})
    with pytest.raises(ServerFailed) as caught:
        start(runtime=runtime)
    assert "cannot start /no/such/server" in caught.value.evidence
    assert "exit code 127" in caught.value.message


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--never-listen",), "still starting the server"),
        (("--healthy-after", "3600"), "/health: HTTP 503"),
        (("--no-token", "hang"), "/v1/chat/completions: no answer"),
    ],
)
def test_what_it_waited_for_in_vain_is_said(
    start: Any, traces: Any, options: tuple[str, ...], words: str
):
    with pytest.raises(ServerFailed, match=r"not ready after 1\.5 s") as caught:
        start(*options, timeout_s=1.5)
    assert words in caught.value.message
    assert "loading weights" in caught.value.evidence
    assert not traces.all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--model", "another"), "serves another, not double"),
        (("--no-token", "empty"), "holds no token"),
        (("--no-token", "error"), "HTTP 500"),
        (("--no-token", "die"), "the model does not fit into memory"),
    ],
)
def test_a_wrong_answer_fails_at_once(
    start: Any, traces: Any, options: tuple[str, ...], words: str
):
    with pytest.raises(ServerFailed) as caught:
        start(*options)
    assert words in caught.value.message
    assert not traces.all()


def test_a_crash_while_serving_is_told_with_the_end_of_the_log(start: Any, traces: Any):
    with start() as server:
        with pytest.raises(requests.ConnectionError):
            get(f"{server.endpoint.url}/crash")
        with pytest.raises(ServerFailed) as caught:
            server.wait()
        with pytest.raises(ServerFailed):
            server.check()
    assert "exit code 42" in caught.value.message
    assert "illegal memory access" in caught.value.evidence
    assert not traces.documents()


@pytest.mark.slow
def test_a_server_killed_is_a_crash_that_names_the_signal(start: Any):
    with start() as server:
        server.check()
        os.kill(server.endpoint.server_pid, signal.SIGKILL)
        with pytest.raises(ServerFailed, match="killed by SIGKILL; the kernel does so when"):
            server.wait()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["group", "session", "stubborn"])
def test_what_the_server_started_ends_with_it(
    start: Any, traces: Any, kind: str, eventually: Callable[..., Any]
):
    with start("--grandchild", kind, grace_s=1.0):
        eventually(lambda: len(traces.servers()) == 2, "server and grandchild run")
    assert not traces.all()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["group", "session", "stubborn"])
def test_what_a_crashed_server_started_ends_too(
    start: Any, traces: Any, kind: str, eventually: Callable[..., Any]
):
    server = start("--grandchild", kind, grace_s=1.0)
    os.kill(server.endpoint.server_pid, signal.SIGKILL)
    with pytest.raises(ServerFailed):
        server.wait()
    eventually(lambda: not traces.all(), "nothing is left")


@pytest.mark.slow
def test_a_server_that_ignores_sigterm_is_killed(start: Any, traces: Any):
    began = time.monotonic()
    with start("--ignore-sigterm", grace_s=0.5):
        began = time.monotonic()
    assert time.monotonic() - began >= 0.5
    assert not traces.all()


def test_a_server_ends_by_itself_when_it_can(start: Any):
    server = start(grace_s=60.0)
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 30


def test_stop_twice_is_stop_once(start: Any, traces: Any):
    server = start()
    server.stop()
    server.stop()
    assert not traces.all()


def test_an_exception_in_the_block_ends_the_server(start: Any, traces: Any):
    with pytest.raises(KeyboardInterrupt), start():
        raise KeyboardInterrupt
    assert not traces.all()
    assert not traces.documents()


def test_a_detached_server_stays_until_it_is_stopped(start: Any, registry: Registry, traces: Any):
    with start() as server:
        endpoint = server.detach()
    assert get(f"{endpoint.url}/health").status_code == 200
    assert registry.endpoints() == (endpoint,)
    assert stop_endpoint("double", registry=registry).state == "stopped"
    assert not traces.all()
    assert registry.endpoints() == ()


@pytest.mark.slow
def test_a_detached_server_that_crashes_stays_on_record_with_its_reason(
    start: Any, registry: Registry, traces: Any, eventually: Callable[..., Any]
):
    with start() as server:
        endpoint = server.detach()
    os.kill(endpoint.server_pid, signal.SIGSEGV)
    eventually(lambda: registry.read("double").state == "crashed", "it is on record")
    (crashed,) = registry.endpoints()
    assert (crashed.exit_code, crashed.reason) == (-11, "the server was killed by SIGSEGV")
    eventually(lambda: not traces.all(), "the guard has ended")
    stop_endpoint("double", registry=registry)
    assert registry.endpoints() == ()


@pytest.mark.slow
def test_detaching_a_server_that_has_crashed_fails(
    start: Any, traces: Any, eventually: Callable[..., Any]
):
    with start() as server:
        os.kill(server.endpoint.server_pid, signal.SIGKILL)
        eventually(lambda: not traces.servers(), "the server is dead")
        with pytest.raises(ServerFailed, match="SIGKILL"):
            server.detach()


@pytest.mark.slow
def test_a_held_server_can_be_stopped_from_elsewhere(start: Any, registry: Registry, traces: Any):
    with start() as server:
        stop_endpoint("double", registry=registry)
        server.wait()
    assert not traces.all()


def test_a_name_in_use_is_refused_with_its_address(start: Any, traces: Any):
    with start(name="demo") as server:
        with pytest.raises(EnvironmentUnfit) as caught:
            start(name="demo")
        assert server.endpoint.url in caught.value.message
        assert "trt-nemotron stop demo" in caught.value.next_step
        assert len(traces.servers()) == 1
        with start(name="other") as other:
            assert other.endpoint.url != server.endpoint.url


@pytest.mark.slow
def test_a_name_is_free_again_after_a_crash(
    start: Any, registry: Registry, eventually: Callable[..., Any]
):
    with start() as server:
        endpoint = server.detach()
    os.kill(endpoint.server_pid, signal.SIGKILL)
    eventually(lambda: registry.read("double").state == "crashed", "it is on record")
    with start() as server:
        assert server.endpoint.state == "ready"


def test_a_taken_port_is_refused_before_anything_starts(start: Any, traces: Any):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EnvironmentUnfit, match=f"port {port} is taken") as caught:
            start(place=Place(port=port))
    assert f"by process {os.getpid()}" in caught.value.evidence
    assert "--port 0" in caught.value.next_step
    assert not traces.folder.exists()


@pytest.mark.slow
def test_what_answers_on_our_port_need_not_be_ours(start: Any):
    """Another took the port after it was found free: its token says nothing of ours."""
    with start() as other:
        _, _, address = other.endpoint.url.partition("://")

        def misled(url: str, body: object, timeout_s: float) -> Reply:
            return send(f"http://{address}/{url.split('/', 3)[3]}", body, timeout_s)

        runtime = start.runtime("--crash-at-start", "address already in use", tells_address=False)
        with pytest.raises(ServerFailed, match="exit code 1"):
            start(runtime=runtime, name="second", transport=misled)


def test_a_fixed_port_is_used(start: Any):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with start(place=Place(port=port)) as server:
        assert server.endpoint.url == f"http://127.0.0.1:{port}"


def test_stopping_what_is_not_there_names_what_is(start: Any, registry: Registry):
    with start(), pytest.raises(InvalidInput) as caught:
        stop_endpoint("dbl", registry=registry)
    assert "double" in caught.value.evidence


def test_the_log_can_be_kept_elsewhere(start: Any, tmp_path: Path):
    log = tmp_path / "run" / "server.log"
    with start(log=log) as server:
        assert server.endpoint.log == str(log)
    assert "listening on" in log.read_text()


def test_the_document_is_what_the_schema_says(start: Any, registry: Registry):
    with start():
        path = registry.document_path("double")
        assert json.loads(path.read_text())["schema"] == "trt-nemotron/endpoint/1"


@pytest.mark.slow
def test_proxies_of_the_environment_do_not_matter(start: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with start() as server:
        assert server.endpoint.state == "ready"


def test_a_server_that_asks_for_a_key_is_asked_with_it(start: Any, monkeypatch: pytest.MonkeyPatch):
    """The key is in a variable of ours; its value stands in no record and no log."""
    monkeypatch.setenv("DOUBLE_API_KEY", "key-of-the-double")
    runtime = start.runtime("--key-variable", "DOUBLE_API_KEY")
    runtime.secret_names = ("DOUBLE_API_KEY",)
    runtime.api_key_variable = "DOUBLE_API_KEY"
    with start(runtime=runtime) as server:
        assert server.api_key_variable == "DOUBLE_API_KEY"
        kept = [path.read_text() for path in Path(server.endpoint.log).parent.glob("[!.]*")]
        assert not [text for text in kept if "key-of-the-double" in text]


def test_a_server_that_asks_for_a_key_and_gets_none_is_told(
    start: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DOUBLE_API_KEY", "key-of-the-double")
    runtime = start.runtime("--key-variable", "DOUBLE_API_KEY")
    runtime.secret_names = ("DOUBLE_API_KEY",)
    with pytest.raises(ServerFailed, match="HTTP 401"):
        start(runtime=runtime)
