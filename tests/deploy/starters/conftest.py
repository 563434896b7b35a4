"""Bundles with starters, and programs that stand in for engines."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.starters.built import Built
from trt_nemotron.deploy.bundle.reader import read_bundle
from trt_nemotron.deploy.bundle.writer import build_bundle
from trt_nemotron.deploy.machine import Machine
from trt_nemotron.deploy.planning import make_plan
from trt_nemotron.deploy.runtimes.catalogue import get_runtime
from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.deploy.starters.recipe import BUNDLE_MARK, CACHE_MARK, NAME_MARK, Recipe

LAPTOP = Machine(architecture="x86_64", cores=2, memory_total_bytes=8 << 30)

RECORDER = """\
#!/bin/sh
# A double of a container engine: it has every image but one, and writes down what it is to run.
case $1 in
version) exit "${ENGINE_STATUS:-0}" ;;
image) [ "$3" != missing ] ;;
ps) printf '%s' "${ENGINE_LEFT:-}" ;;
*) for word in "$@"; do printf '%s\\n' "$word"; done >"$RECORD"; env >"$RECORD.env" ;;
esac
"""


@pytest.fixture(scope="session")
def original(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that no test changes."""
    out = tmp_path_factory.mktemp("bundles") / "h100"
    plan, checkpoint = make_plan("h100-sxm", "trtllm", tiny_checkpoint, Wishes(), LAPTOP)
    build_bundle(out, plan, checkpoint, get_runtime("trtllm"))
    return out


@pytest.fixture
def built(original: Path, tmp_path: Path) -> Built:
    """The bundle moved to a folder whose name asks for good quoting."""
    folder = tmp_path / "it's $HOME; `here`" / "the bundle"
    shutil.copytree(original, folder)
    manifest, plan = read_bundle(folder)
    return Built(folder, manifest, plan)


@pytest.fixture
def engines(tmp_path: Path) -> Path:
    """A folder with a recording `docker` and `podman`; `RECORD` names where they write."""
    folder = tmp_path / "engines"
    folder.mkdir()
    for name in ("docker", "podman"):
        (folder / name).write_text(RECORDER)
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def need_program() -> Callable[[str, str], str]:
    """`need_program(name, how to get it)`: its path; without it a skip, in CI a failure."""

    def find(name: str, how: str) -> str:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        found = shutil.which(name, path=path)
        if found is None and os.environ.get("CI"):
            pytest.fail(f"{name} is missing: {how}")
        if found is None:
            pytest.skip(f"{name} is missing: {how}")
        return found

    return find


@pytest.fixture(scope="session")
def compose_schema() -> None:
    """The package that carries the Compose specification's schema; without it a skip, in CI not."""
    if not os.environ.get("CI"):
        pytest.importorskip("check_jsonschema", reason="pip install check-jsonschema")


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    """One of every kind of word, whatever today's plans say."""
    common = (
        "--rm", "--init", "--pull", "never", "--name", NAME_MARK,
        "--label", "io.trt-nemotron.release=trtllm 9.9.9", "--stop-timeout", "10",
        "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--read-only",
    )  # fmt: skip
    rest = (
        "--publish", "127.0.0.1:59999:8000", "--ipc", "host", "--ulimit", "memlock=-1",
        "--tmpfs", "/tmp:rw,exec",
        "--mount", f"type=bind,source={BUNDLE_MARK},target=/bundle,readonly",
        "--mount", "type=volume,source=trt-nemotron-key,target=/cache",
        "--env", "HOME=/cache/home", "--env", "PRICE=5$ or `six`",
    )  # fmt: skip
    return Recipe(
        name="trt-nemotron-board-model",
        title="model with trtllm 9.9.9 for board",
        image="registry.example/trtllm:9.9.9",
        options={
            "docker": (*common, "--gpus", "all", *rest),
            "podman": (*common, "--http-proxy=false", "--device", "nvidia.com/gpu=all", *rest),
        },
        command=("trtllm-serve", "/bundle/model/m", "--port", "8000", "--tag", "it's"),
        here=("trtllm-serve", f"{BUNDLE_MARK}/model/m", "--port", "59999", "--tag", "it's"),
        here_environment={
            "HOME": f"{CACHE_MARK}/home",
            "TRITON_CACHE_DIR": f"{CACHE_MARK}/triton",
            "PRICE": "5$ or `six`",
        },
        cache="key",
    )
