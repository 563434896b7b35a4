"""What the guard is told to run: as a process and as a container."""

from pathlib import Path

import pytest

from trt_nemotron.deploy.bundle.values import Manifest
from trt_nemotron.deploy.runtimes.protocol import Containment, Launch
from trt_nemotron.deploy.serving.processes import INSTANCE_VARIABLE
from trt_nemotron.deploy.serving.starting import Start, container_start, process_start
from trt_nemotron.deploy.serving.values import Endpoint

IMAGE = "a/b@sha256:" + "0" * 64
ENDPOINT = Endpoint(
    name="demo", state="starting", url="", model="m", runtime="trtllm", bundle="/b", log="/l",
    guard_pid=1, guard_started=1.0, instance="0123456789abcdef",
)  # fmt: skip
MANIFEST = Manifest(
    name="m", tool_version="1", target="spark", runtime="trtllm", release="1.3.0rc14",
    served_model_name="m", configuration_sha256="c" * 64, model_path="model", files=(),
)  # fmt: skip


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_value_of_a_secret")
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "0")
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/user/1000/docker.sock")


def launch(*secrets: str) -> Launch:
    return Launch(argv=("server", "--x"), environment={"OURS": "1"}, secret_names=secrets)


def contained(*secrets: str) -> Start:
    containment = Containment(image=IMAGE, port=8000)
    return container_start(
        ENDPOINT, launch(*secrets), containment, "docker", port=8123, folder=Path("/state"),
        manifest=MANIFEST,
    )  # fmt: skip


def test_a_process_has_our_environment_without_mpi_and_secrets():
    start = process_start(ENDPOINT, launch())
    assert start.environment["DOCKER_HOST"]
    assert start.environment["OURS"] == "1"
    assert start.environment[INSTANCE_VARIABLE] == ENDPOINT.instance
    assert not {"HF_TOKEN", "OMPI_COMM_WORLD_RANK"} & set(start.environment)
    assert (start.argv, start.after, start.secrets) == (("server", "--x"), (), None)


def test_a_process_gets_the_secrets_that_were_named():
    assert process_start(ENDPOINT, launch("HF_TOKEN")).environment["HF_TOKEN"]


def test_an_engines_client_finds_its_daemon_and_gets_no_secret():
    start = contained("HF_TOKEN")
    assert start.environment["DOCKER_HOST"]
    assert not {"HF_TOKEN", "OMPI_COMM_WORLD_RANK", "OURS"} & set(start.environment)


def test_secrets_of_a_container_come_by_a_file_and_never_by_argument():
    start = contained("HF_TOKEN")
    assert start.secrets == Path("/state/.secrets-0123456789abcdef.env")
    assert start.argv[start.argv.index("--env-file") + 1] == str(start.secrets)
    assert start.secret_names == ("HF_TOKEN",)
    assert not any("hf_value" in word or "HF_TOKEN" in word for word in start.argv)
    assert contained().secrets is None
    assert "--env-file" not in contained().argv


def test_a_container_is_known_again_by_name_label_and_environment():
    start = contained()
    name = "trt-nemotron-demo-01234567"
    held = start.endpoint
    assert (held.engine, held.container, held.image) == ("docker", name, IMAGE)
    assert start.after[-1] == name
    assert "io.trt-nemotron.instance=0123456789abcdef" in start.argv
    assert f"{INSTANCE_VARIABLE}={ENDPOINT.instance}" in start.argv
    assert "127.0.0.1:8123:8000" in start.argv
