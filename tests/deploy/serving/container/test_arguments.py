"""The argument list, in both engines' grammars."""

import os
import re
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.deploy.runtimes.protocol import Containment, EngineName, Launch, Mount
from trt_nemotron.deploy.serving.container.arguments import Tags, run_arguments
from trt_nemotron.deploy.serving.container.engine import ENGINES, Engine
from trt_nemotron.errors import InvalidInput

DIGEST = "sha256:" + "0" * 64
CONTAINMENT = Containment(
    image=f"nvcr.io/nvidia/tensorrt-llm/release@{DIGEST}",
    port=8000,
    mounts=(Mount(source="/srv/bundles/spark", target="/bundle"),),
    cache_volume="trt-nemotron-cache",
    cache_target="/cache",
    ipc="host",
    ulimits={"stack": "67108864", "memlock": "-1"},
)
LAUNCH = Launch(argv=("trtllm-serve", "/bundle/model/m", "--port", "8000"), environment={"A": "b"})
TAGS = Tags("trt-nemotron-demo-00", {"name": "demo", "instance": "00"})


def arguments(engine: EngineName, **more: Any) -> tuple[str, ...]:
    containment = more.pop("containment", CONTAINMENT)
    return run_arguments(engine, LAUNCH, containment, TAGS, port=8123, **more)


def values(words: tuple[str, ...], flag: str) -> list[str]:
    return [after for word, after in pairwise(words) if word == flag]


@pytest.mark.parametrize("engine", ENGINES)
def test_privilege_is_the_least_there_is(engine: EngineName):
    words = arguments(engine)
    assert values(words, "--cap-drop") == ["ALL"]
    assert values(words, "--security-opt") == ["no-new-privileges"]
    assert "--read-only" in words
    assert not {"--privileged", "--cap-add", "--net", "--network", "--pid", "--user"} & set(words)
    assert values(words, "--mount")[0] == (
        "type=bind,source=/srv/bundles/spark,target=/bundle,readonly"
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_the_port_is_published_on_loopback_only(engine: EngineName):
    assert values(arguments(engine), "--publish") == ["127.0.0.1:8123:8000"]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_hosts_network_is_used_on_request_and_nothing_published_then(engine: EngineName):
    from msgspec.structs import replace

    words = arguments(engine, containment=replace(CONTAINMENT, is_host_network=True))
    assert values(words, "--network") == ["host"]
    assert "--publish" not in words


def test_gpus_are_asked_for_in_the_engines_own_way():
    assert values(arguments("docker"), "--gpus") == ["all"]
    assert "--device" not in arguments("docker")
    assert values(arguments("podman"), "--device") == ["nvidia.com/gpu=all"]
    assert "--gpus" not in arguments("podman")


def test_podman_is_kept_from_handing_our_proxies_on():
    assert "--http-proxy=false" in arguments("podman")
    assert not [word for word in arguments("docker") if "proxy" in word]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_command_comes_last_after_the_image(engine: EngineName):
    words = arguments(engine)
    assert words[-5:] == (CONTAINMENT.image, *LAUNCH.argv)
    assert words[:2] == (engine, "run")


@pytest.mark.parametrize("engine", ENGINES)
def test_limits_and_memory_are_what_the_server_needs(engine: EngineName):
    words = arguments(engine)
    assert values(words, "--ulimit") == ["memlock=-1", "stack=67108864"]
    assert values(words, "--ipc") == ["host"]
    assert values(words, "--tmpfs")[0].startswith("/tmp:rw,exec,nosuid,nodev")


@pytest.mark.parametrize("engine", ENGINES)
def test_labels_say_whose_it_is(engine: EngineName):
    assert values(arguments(engine), "--label") == [
        "io.trt-nemotron.instance=00",
        "io.trt-nemotron.name=demo",
    ]


@pytest.mark.parametrize("engine", ENGINES)
def test_secrets_come_by_file_and_nothing_of_our_environment(
    engine: EngineName, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HF_TOKEN", "hf_" + "s" * 20)
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "0")
    words = arguments(engine, env_file=Path("/run/user/1/.secrets-00.env"))
    assert values(words, "--env-file") == ["/run/user/1/.secrets-00.env"]
    assert values(words, "--env") == ["A=b"]
    assert "hf_" not in " ".join(words)


@pytest.mark.parametrize("path", ["/a,b", '/a"b', "/a\nb"])
def test_a_path_that_engines_read_differently_is_refused(path: str):
    containment = Containment(image="i", port=1, mounts=(Mount(source=path, target="/bundle"),))
    with pytest.raises(InvalidInput, match="cannot be handed to a container engine"):
        arguments("docker", containment=containment)


@given(st.text(st.characters(blacklist_characters=',"\n\0', blacklist_categories=("Cs",))))
def test_any_other_path_is_one_word(name: str):
    containment = Containment(image="i", port=1, mounts=(Mount(source=f"/{name}", target="/b"),))
    assert f"type=bind,source=/{name},target=/b,readonly" in arguments(
        "podman", containment=containment
    )


def test_the_docker_client_takes_every_flag(docker_client: str):
    """It parses all flags before it asks for its engine, which is not reachable here."""
    words = (docker_client, *arguments("docker")[1:])
    environment = {**os.environ, "DOCKER_HOST": "unix:///nonexistent/docker.sock"}
    said = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert re.search("Cannot connect to the Docker daemon|failed to connect", said.stderr)
    wrong = (*words[:2], "--no-such-flag", *words[2:])
    said = subprocess.run(wrong, env=environment, capture_output=True, text=True, check=False)
    assert "unknown flag" in said.stderr


def test_podman_takes_every_flag(engine: Engine):
    """The image is not here, which it finds out after the flags."""
    words = arguments("podman")
    said = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "image not known" in said.stderr
    wrong = (*words[:2], "--no-such-flag", *words[2:])
    assert (
        "unknown flag" in subprocess.run(wrong, capture_output=True, text=True, check=False).stderr
    )
