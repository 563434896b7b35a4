"""A real container engine, images built for it, and the product driving both.

Needs podman, runc, catatonit (the init process of `--init`), network plugins and busybox. Debian:
apt-get install --no-install-recommends podman runc catatonit slirp4netns \
    containernetworking-plugins iptables busybox-static
"""

import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.containers import images
from tests.containers.podman_here import write_shim

NEEDED = ("podman", "busybox", "catatonit")
_END_S = 60
_CACHES = "trt-nemotron-trtllm-"
OUR_LABEL = "io.trt-nemotron.name"


@pytest.fixture(scope="session")
def engine() -> Callable[..., str]:
    """`engine("ps", "--all")`: the real podman; on a CI machine it has to be there."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        reason = f"not on PATH: {', '.join(missing)}; see tests/containers/conftest.py"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return images.podman


@pytest.fixture(scope="session")
def base_image(engine: Callable[..., str]) -> str:
    return images.base_image()


@pytest.fixture(scope="session")
def cpu_image(base_image: str) -> str:
    return images.cpu_image(base_image)


@pytest.fixture(scope="session")
def double_image(base_image: str, cpu_image: str) -> str:
    return images.double_image(base_image, cpu_image)


@pytest.fixture(scope="session")
def trtllm_image(double_image: str) -> str:
    return images.trtllm_image(double_image)


@dataclass(frozen=True)
class Tool:
    """`trt-nemotron` in a folder of its own, which finds the shim when it asks for podman."""

    folder: Path
    environment: dict[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def run(self, *words: str, timeout_s: float = 540) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "trt_nemotron", *words], cwd=self.folder, env=self.environment,
            capture_output=True, text=True, check=False, timeout=timeout_s,
        )  # fmt: skip

    def start(self, *words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "trt_nemotron", *words], cwd=self.folder, env=self.environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.started.append(process)
        return process


@pytest.fixture
def mark() -> str:
    """A label of this test's containers: others may start theirs on this machine meanwhile."""
    return f"trt-nemotron-test={secrets.token_hex(8)}"


@pytest.fixture
def ours(engine: Callable[..., str], mark: str) -> Callable[[], set[str]]:
    """Ids of all containers that this test started."""
    return lambda: set(engine("ps", "--all", "--quiet", "--filter", f"label={mark}").split())


@pytest.fixture
def tool(
    tmp_path: Path, state_folder: Path, mark: str, ours: Callable[[], set[str]]
) -> Iterator[Tool]:
    """The product with the shim; a container that outlives its test is a failure."""
    path = f"{write_shim(tmp_path / 'bin', mark).parent}{os.pathsep}{os.environ['PATH']}"
    made = Tool(
        folder=tmp_path,
        environment={**os.environ, "TRT_NEMOTRON_STATE_DIR": str(state_folder), "PATH": path},
    )
    yield made
    for process in made.started:
        process.terminate()
        process.communicate(timeout=_END_S)
    deadline = time.monotonic() + _END_S
    while (left := ours()) and time.monotonic() < deadline:
        time.sleep(0.1)
    for container in left:
        images.podman("rm", "--force", container)
    assert not left, "a container outlived its test"


@pytest.fixture(scope="session", autouse=True)
def _volumes() -> Iterator[None]:
    """The caches' volumes go at the end; whoever had some on this machine before keeps them."""
    if shutil.which("podman") is None:
        yield
        return
    before = images.volumes(_CACHES)
    yield
    images.forget_volumes(images.volumes(_CACHES) - before)


@pytest.fixture(scope="session")
def variant(double_image: str) -> Callable[..., str]:
    """`variant("1.3.0rc14", fault="exit:graphs")`: an image with such a double."""

    def make(release: str, fault: str = "") -> str:
        variables: Mapping[str, str] = {
            "TRTLLM_DOUBLE_RELEASE": release,
            **({"TRTLLM_DOUBLE_FAULT": fault} if fault else {}),
        }
        return images.with_environment(double_image, variables)

    return make
