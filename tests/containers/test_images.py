"""The images under containers/, built and run for real on a base made here."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.containers import images
from tests.containers.podman_here import global_options, limit_options

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
HARDENED = (
    "--init", "--network=none", "--cap-drop=all", "--security-opt=no-new-privileges",
    "--read-only", "--tmpfs=/tmp:mode=1777", "--tmpfs=/home/nemotron:mode=1777",
)  # fmt: skip

Engine = Callable[..., str]


def run_in(image: str, *words: str, options: tuple[str, ...] = HARDENED) -> Any:
    return subprocess.run(
        ["podman", *global_options(), "run", "--rm", "--pull=never", *limit_options(), *options,
         image, *words],
        capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip


def configuration_of(engine: Engine, image: str) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads(engine("image", "inspect", image))[0]["Config"]
    return tree


def test_whole_pipeline_runs_on_a_cpu_without_network_root_or_writable_disk(cpu_image: str):
    done = run_in(cpu_image)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS" in done.stderr


def test_image_says_what_it_is_and_on_which_base(engine: Engine, cpu_image: str, base_image: str):
    labels = configuration_of(engine, cpu_image)["Labels"]
    assert labels["org.opencontainers.image.base.name"] == base_image
    assert labels["org.opencontainers.image.base.digest"] == images.digest_of(base_image)
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"


@pytest.mark.parametrize("name", ["cpu_image", "trtllm_image"])
def test_image_runs_as_nobody_in_particular_and_starts_the_tool(
    name: str, engine: Engine, request: pytest.FixtureRequest
):
    configuration = configuration_of(engine, request.getfixturevalue(name))
    assert configuration["User"] == "10001:10001"
    assert configuration["Entrypoint"] == ["trt-nemotron"]


def test_nothing_that_builds_is_left_and_nothing_of_the_build(engine: Engine, cpu_image: str):
    looks = "ls /opt/trt-nemotron/bin /opt/trt-nemotron/lib/python3*/site-packages /wheels /build"
    found = run_in(cpu_image, "-c", looks, options=(*HARDENED, "--entrypoint=/bin/sh")).stdout
    assert "trt_nemotron" in found
    for name in ("hatchling", "pluggy", "pip-", "setuptools"):
        assert name not in found
    said = engine("image", "inspect", cpu_image) + engine("history", "--no-trunc", cpu_image)
    for word in ("PIP_", "find-links", "index-url", "/wheels"):
        assert word not in said


def test_build_without_a_digest_stops(engine: Engine, base_image: str):
    for name in ("cpu", "edgellm", "trtllm"):
        words = images.build_words(
            ROOT / f"containers/{name}/Dockerfile", base_image, "localhost/never:1", digest=""
        )
        done = subprocess.run(
            ["podman", *global_options(), *words], capture_output=True, text=True, check=False,
            timeout=60,
        )  # fmt: skip
        assert done.returncode != 0
        assert "BASE_DIGEST" in done.stderr


def test_build_on_another_content_than_the_digest_stops(engine: Engine, base_image: str):
    words = images.build_words(
        ROOT / "containers/cpu/Dockerfile", base_image, "localhost/never:1", f"sha256:{'0' * 64}"
    )
    done = subprocess.run(
        ["podman", *global_options(), *words], capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip
    assert done.returncode != 0


def test_edge_llm_on_a_base_without_tensorrt_stops_before_it_installs(
    engine: Engine, base_image: str
):
    words = images.build_words(
        ROOT / "containers/edgellm/Dockerfile",
        base_image,
        "localhost/never:1",
        images.digest_of(base_image),
    )
    done = subprocess.run(
        ["podman", *global_options(), *words], capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip
    assert done.returncode != 0
    assert "No module named 'tensorrt'" in done.stdout + done.stderr


def test_tool_inside_the_runtimes_image_starts_its_server_in_the_process(trtllm_image: str):
    options = ("--init", "--network=none", "--cap-drop=all", "--security-opt=no-new-privileges",
               "--read-only", "--tmpfs=/tmp:exec,mode=1777", "--volume=/cache",
               "--volume=/results")  # fmt: skip
    words = (
        "check",
        "--target",
        "spark",
        "--engine",
        "process",
        "--out",
        "/results/check",
        "--json",
    )
    done = run_in(trtllm_image, *words, options=options)
    assert done.returncode == 5, done.stdout + done.stderr
    record = json.loads(done.stdout)
    summaries = {stage["name"]: stage["summary"] for stage in record["stages"]}
    assert "18 passed" in summaries["smoke"]


@pytest.mark.parametrize("name", ["cpu", "edgellm", "trtllm"])
def test_dockerfile_pins_by_digest_and_ends_without_root(name: str):
    text = (ROOT / f"containers/{name}/Dockerfile").read_text()
    starts = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert set(starts) == {"${BASE}@${BASE_DIGEST}"}
    assert not re.search(r"^ARG BASE_DIGEST=", text, re.MULTILINE), "a digest is never made up"
    assert re.findall(r"^USER (\S+)", text, re.MULTILINE)[-1] == "10001:10001"
    assert not re.search(r"(?i)^(ARG|ENV) .*(token|key|secret|passw)", text, re.MULTILINE)
