"""Compose files under containers/: what they promise, held as data; no engine is needed."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from trt_nemotron.deploy.runtimes.edgellm.environment import PYTHON_VARIABLE, TORCH
from trt_nemotron.deploy.runtimes.edgellm.runtime import RUNTIME
from trt_nemotron.deploy.runtimes.edgellm.starting import PYTHON_INSIDE

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "containers").glob("*/compose.yaml"))
RELEASE = re.compile(r"release:(\S+?)\}")


def services(path: Path) -> dict[str, Any]:
    tree: dict[str, Any] = yaml.safe_load(path.read_text())["services"]
    return tree


@pytest.fixture(params=FILES, ids=lambda path: path.parent.name)
def file(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_every_board_with_an_image_has_a_file():
    assert [path.parent.name for path in FILES] == ["cpu", "h100", "spark", "spark-edgellm", "thor"]


def test_services_have_no_privilege_and_no_writable_root(file: Path):
    for service in services(file).values():
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["read_only"] is True
        assert service["init"] is True
        assert not {"privileged", "cap_add", "user", "env_file"} & service.keys()


def test_nothing_is_reached_from_outside_this_machine(file: Path):
    found = services(file)
    assert found["check"]["network_mode"] == "none"
    # On the host's network only on request, and the server listens on 127.0.0.1 there.
    assert found["serve"]["profiles"] == ["serve"]
    assert not any("ports" in service for service in found.values())


def test_health_of_a_server_is_a_token_and_not_a_port(file: Path):
    test = services(file)["serve"]["healthcheck"]["test"]
    assert "trt-nemotron smoke" in test[-1]
    assert "completion" in test[-1]


def test_base_has_to_be_named_by_digest(file: Path):
    for service in services(file).values():
        assert service["build"]["args"]["BASE_DIGEST"].startswith("${BASE_DIGEST:?")


@pytest.mark.parametrize(("board", "target"), [("h100", "h100-sxm"), ("spark", "spark")])
def test_board_is_given_its_gpu_and_the_release_that_its_facts_advise(board: str, target: str):
    facts = yaml.safe_load((ROOT / f"engine_configs/targets/{target}.yaml").read_text())
    release = next(it["release"] for it in facts["runtimes"] if it["runtime"] == "trtllm")
    for service in services(ROOT / f"containers/{board}/compose.yaml").values():
        assert RELEASE.findall(service["build"]["args"]["BASE"]) == [release]
        devices = service["deploy"]["resources"]["reservations"]["devices"]
        assert devices == [{"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}]
        weights = next(it for it in service["volumes"] if it["target"] == "/model")
        assert weights["read_only"] is True


@pytest.mark.parametrize("board", ["thor", "spark-edgellm"])
def test_base_of_edge_llm_is_nobodys_but_the_users(board: str):
    for service in services(ROOT / f"containers/{board}/compose.yaml").values():
        assert service["build"]["args"]["BASE"].startswith("${BASE:?")
        assert service["build"]["dockerfile"] == "containers/edgellm/Dockerfile"
        seen = {it["target"] for it in service["volumes"] if it.get("read_only")}
        assert ("/etc/nv_tegra_release" in seen) == (board == "thor")


def test_dockerfile_of_edge_llm_has_what_the_environment_has():
    text = (ROOT / "containers/edgellm/Dockerfile").read_text()
    assert f"engine_configs/runtimes/edgellm/{RUNTIME.release().release}.lock.txt" in text
    assert TORCH in text
    assert f"{PYTHON_VARIABLE}=/opt/edgellm/bin/python" in text
    assert f"/opt/edgellm/bin/{PYTHON_INSIDE}".rpartition("/")[0] in text.partition("PATH=")[2]


def test_dockerfiles_that_files_name_are_there(file: Path):
    for service in services(file).values():
        assert (ROOT / service["build"]["dockerfile"]).is_file()


def test_docker_compose_itself_accepts_it(file: Path):
    docker = shutil.which("docker")
    if docker is None or _compose(docker, "version").returncode != 0:
        pytest.skip("no docker compose here")
    done = _compose(docker, "-f", str(file), "--profile", "serve", "config", "--quiet")
    assert done.returncode == 0, done.stderr


def _compose(docker: str, *words: str) -> subprocess.CompletedProcess[str]:
    variables = {
        "PATH": "/usr/bin:/bin",
        "BASE_DIGEST": f"sha256:{'0' * 64}",
        "MODEL": "/model",
        "BASE": "base",
    }
    return subprocess.run(
        [docker, "compose", *words], capture_output=True, text=True, check=False, env=variables,
        timeout=60,
    )  # fmt: skip
