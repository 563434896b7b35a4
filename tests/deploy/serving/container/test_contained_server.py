"""A server in a container of the real engine: started, looked into, ended in every way there is."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tests.deploy.serving.runtime_double import PYTHON
from trt_nemotron.deploy.runtimes.protocol import Place
from trt_nemotron.deploy.serving.registry import Registry, list_endpoints
from trt_nemotron.deploy.serving.stopping import stop_endpoint
from trt_nemotron.errors import EnvironmentUnfit, InvalidInput, ServerFailed

pytestmark = pytest.mark.slow

CONFIGURATION = """
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
"""


def podman(*words: str) -> str:
    said = subprocess.run(["podman", *words], capture_output=True, text=True, check=True)
    return said.stdout


def containers(form: str = "{{.Names}}") -> list[str]:
    """Those of this test: others may run at the same time."""
    ours = ("--filter", "label=io.trt-nemotron.instance",
            "--filter", f"volume={os.environ['VOLUME_OF_THIS_TEST']}")  # fmt: skip
    return podman("ps", "--all", *ours, "--format", form).split()


@pytest.fixture(autouse=True)
def contained(
    image: str, traces: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eventually: Any
) -> Iterator[None]:
    """Every server of these tests is one in a container; at the end of each there is none."""
    configuration = tmp_path / "containers.conf"
    configuration.write_text(CONFIGURATION)
    monkeypatch.setenv("CONTAINERS_CONF", str(configuration))
    monkeypatch.setenv("RUNTIME_DOUBLE_IMAGE", image)
    volume = f"trt-nemotron-test-{traces.marker}"
    monkeypatch.setenv("VOLUME_OF_THIS_TEST", volume)
    yield
    eventually(lambda: not containers(), "no container is left", 30.0)
    subprocess.run(["podman", "volume", "rm", "--force", volume], check=False, capture_output=True)


def begin(start: Any, *options: str, **more: Any) -> Any:
    place = Place(engine="podman", **more.pop("place", {}))
    return start(*options, place=place, pull="never", **more)


def ask(server: Any, route: str) -> Any:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(f"{server.endpoint.url}{route}", timeout=10).json()


def test_it_answers_and_is_on_record_with_its_container(start: Any, image: str):
    with begin(start, name="demo") as server:
        assert ask(server, "/v1/models")["data"][0]["id"] == "double"
        endpoint = server.endpoint
        assert endpoint.engine == "podman"
        assert containers() == [endpoint.container]
        assert re.fullmatch(r"localhost/[a-z-]+@sha256:[0-9a-f]{64}", endpoint.image)
        labels = containers(form="{{.Labels}}")
        assert f"io.trt-nemotron.instance:{endpoint.instance}" in " ".join(labels)
    assert containers() == []


def test_nothing_but_its_scratch_and_cache_can_be_written(start: Any):
    with begin(start) as server:
        written = ask(server, "/write")
        status = ask(server, "/status")["status"]
    assert written == {
        "/": "Read-only file system",
        "/bundle": "Read-only file system",
        "/tmp": "written",
        "/cache": "written",
    }
    assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
    assert re.search(r"^CapBnd:\s+0+$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)


def test_nothing_of_our_environment_is_inside(start: Any, monkeypatch: pytest.MonkeyPatch):
    ours = ("HF_TOKEN", "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "http_proxy", "EDITOR")
    for name in ours:
        monkeypatch.setenv(name, "http://ours.invalid")
    with begin(start) as server:
        inside = ask(server, "/env")
    assert inside["FROM_THE_PLAN"] == "yes"
    assert not {"HF_TOKEN", "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "http_proxy", "EDITOR"} & set(
        inside
    )


def test_a_secret_reaches_it_and_stands_nowhere_else(
    start: Any, registry: Registry, monkeypatch: pytest.MonkeyPatch
):
    secret = "hf_" + "s3cr3t" * 4
    monkeypatch.setenv("HF_TOKEN", secret)
    with begin(start, place={"secret_names": ("HF_TOKEN",)}) as server:
        assert ask(server, "/env")["HF_TOKEN"] == secret
        shown = [" ".join(it.info["cmdline"] or ()) for it in psutil.process_iter(["cmdline"])]
        assert not [line for line in shown if secret in line]
        kept = [path for path in registry.folder.rglob("*") if path.is_file()]
        assert not [path for path in kept if secret in path.read_text(errors="replace")]
        assert not list(registry.folder.glob(".secrets-*"))


def test_a_secret_that_is_not_set_is_told_before_anything_starts(start: Any):
    with pytest.raises(InvalidInput, match="NO_SUCH_SECRET is not set"):
        begin(start, place={"secret_names": ("NO_SUCH_SECRET",)})


def test_the_port_is_reached_on_loopback_only(start: Any):
    with begin(start) as server:
        port = server.endpoint.url.rpartition(":")[2]
        shown = subprocess.run(
            ["podman", "port", server.endpoint.container],
            capture_output=True,
            text=True,
            check=True,
        )
    assert shown.stdout.strip() == f"8000/tcp -> 127.0.0.1:{port}"


def test_its_log_and_its_memory_are_seen(start: Any, traces: Any):
    with begin(start, name="demo") as server:
        assert "loading weights" in Path(server.endpoint.log).read_text()
        (status,) = list_endpoints(traces.folder)
        # The engine's client and its init carry the marker too; the server is the one inside.
        (inside,) = [it for it in traces.servers() if it.cmdline()[0] == PYTHON]
        client = psutil.Process(server.endpoint.server_pid).memory_info().rss
        served = inside.memory_info().rss
        assert served <= (status.rss_bytes or 0) < client + served


def test_a_server_that_dies_while_it_loads_is_told_with_its_last_words(start: Any):
    with pytest.raises(ServerFailed, match="does not fit into memory") as caught:
        begin(start, "--crash-at-start", "CUDA error: out of memory")
    assert "out of memory" in caught.value.evidence
    assert containers() == []


def test_a_server_that_is_never_ready_is_ended(start: Any):
    with pytest.raises(ServerFailed, match="was not ready after 4 s"):
        begin(start, "--never-listen", timeout_s=4.0)
    assert containers() == []


def test_a_server_that_ignores_being_asked_is_killed(start: Any):
    server = begin(start, "--ignore-sigterm", grace_s=1.0)
    server.stop()
    assert containers() == []


def test_an_image_that_is_not_here_is_told_before_anything_starts(start: Any):
    with pytest.raises(EnvironmentUnfit, match="is not on this machine"):
        begin(start, place={"image": "localhost/no-such-image:1"})


def test_ended_by_another_hand_it_is_a_crash_and_nothing_is_left(start: Any, eventually: Any):
    with begin(start) as server:
        subprocess.run(
            ["podman", "kill", server.endpoint.container], check=True, capture_output=True
        )
        eventually(lambda: server.pause(0.1), "the guard has noticed")
        with pytest.raises(ServerFailed, match="ended"):
            server.check()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_tool_is_ended_while_it_serves(tool: Any, number: int, eventually: Any):
    process = tool.serve("--engine", "podman", "--pull", "never")
    tool.wait_until(process, lambda: "Ctrl-C" in tool.output(process)[1], "ready")
    process.send_signal(number)
    process.wait(60)
    eventually(lambda: not containers(), "no container is left")
    eventually(lambda: not tool.traces.all(), "no process is left")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_tool_is_ended_while_it_waits(tool: Any, number: int, eventually: Any):
    double = ("--healthy-after", "3600")
    process = tool.serve("--engine", "podman", "--pull", "never", double=double)
    log = tool.traces.folder / "demo.log"
    tool.wait_until(process, lambda: log.is_file() and "/health" in log.read_text(), "it is asked")
    process.send_signal(number)
    process.wait(60)
    eventually(lambda: not containers(), "no container is left")


def test_a_detached_server_stays_until_it_is_stopped(tool: Any, traces: Any):
    code, _, shown = tool("serve", str(tool.bundle), "--name", "demo", "--detach", "--engine",
                          "podman", "--pull", "never")  # fmt: skip
    assert code == 0, shown
    assert len(containers()) == 1
    stop_endpoint("demo", registry=Registry(traces.folder))
    assert containers() == []


def test_what_a_killed_guard_leaves_is_ended_by_the_next_command(tool: Any, eventually: Any):
    """Nobody is left to end the container then; the record still names it."""
    tool("serve", str(tool.bundle), "--name", "demo", "--detach", "--engine", "podman", "--pull",
         "never")  # fmt: skip
    endpoint = tool.endpoint()
    os.kill(endpoint.guard_pid, signal.SIGKILL)
    eventually(lambda: not psutil.pid_exists(endpoint.guard_pid), "the guard is gone")
    tool("status", "--json")
    assert containers() == []


def test_the_engines_client_is_killed(start: Any, eventually: Any):
    with begin(start) as server:
        os.kill(server.endpoint.server_pid, signal.SIGKILL)
        eventually(lambda: server.pause(0.1), "the guard has noticed")
        eventually(lambda: not containers(), "the container went with it")


def test_other_containers_are_left_alone(start: Any, image: str):
    name = f"bystander-{os.getpid()}"
    subprocess.run(
        ["podman", "create", "--name", name, image, "/x"], check=True, capture_output=True
    )
    try:
        with begin(start):
            pass
        said = subprocess.run(["podman", "container", "exists", name], check=False)
        assert said.returncode == 0
    finally:
        podman("rm", name)


def test_a_dry_run_shows_the_whole_command_and_starts_nothing(
    tool: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HF_TOKEN", "hf_secret_of_a_dry_run")
    code, shown, _ = tool("serve", str(tool.bundle), "--engine", "docker", "--dry-run", "--json",
                          "--secret", "HF_TOKEN")  # fmt: skip
    tree = json.loads(shown)
    assert code == 0
    assert tree["argv"][:2] == ["docker", "run"]
    assert tree["secrets"] == ["HF_TOKEN"]
    assert "hf_secret" not in shown
    assert tree["image"].startswith("localhost/")
    assert containers() == []
