"""`start.sh` and the real podman: a container as confined as `serve` makes it, and none left.

The image holds busybox and a double of `trtllm-serve` that says what it sees and serves the bundle
it was given.
"""

import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.containers.podman_here import global_options, write_shim
from tests.deploy.starters.built import Built

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="podman runs containers on Linux"),
]

SERVER = """\
#!/bin/sh
echo "arguments: $*"
echo "home: $HOME"
echo "secret: ${HF_TOKEN:-none}"
[ -f "$1/config.json" ] && echo "weights: seen"
[ -f "$7" ] && echo "configuration: seen"
for place in /bundle /; do
    touch "$place/x" 2>/dev/null && echo "writable: $place"
done
for place in /tmp /cache; do
    touch "$place/x" && echo "scratch: $place"
done
grep -E '^(CapEff|NoNewPrivs)' /proc/self/status
echo "init: $(cat /proc/1/comm)"
exec httpd -f -p 8000 -h /bundle
"""
COMMANDS = ("sh", "touch", "grep", "cat", "httpd")
IMAGE = f"localhost/trt-nemotron-test-starter:{os.getpid()}"


@pytest.fixture(scope="module")
def podman(need_program: Callable[[str, str], str]) -> Callable[..., str]:
    """`podman("ps")`: what the real engine says."""
    how = "apt-get install podman runc catatonit slirp4netns containernetworking-plugins iptables"
    program = need_program("podman", how)
    for other in ("catatonit", "busybox"):
        need_program(other, f"apt-get install {other}")

    def ask(*words: str, given: bytes | None = None) -> str:
        done = subprocess.run(
            [program, *global_options(), *words],
            input=given,
            capture_output=True,
            check=True,
            timeout=120,
        )
        return done.stdout.decode()

    return ask


@pytest.fixture(scope="module")
def image(podman: Callable[..., str]) -> Iterator[str]:
    busybox = shutil.which("busybox")
    assert busybox is not None
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        archive.add(busybox, "bin/busybox")
        for command in COMMANDS:
            link = tarfile.TarInfo(f"bin/{command}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
        program = tarfile.TarInfo("bin/trtllm-serve")
        program.size, program.mode = len(SERVER), 0o755
        archive.addfile(program, io.BytesIO(SERVER.encode()))
    podman("import", "-", IMAGE, given=data.getvalue())
    yield IMAGE
    podman("rmi", "--force", IMAGE)


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
    return found


@pytest.fixture
def variables(
    built: Built, image: str, port: int, tmp_path: Path, podman: Callable[..., str]
) -> Iterator[dict[str, str]]:
    """What a user would set; container and volume are gone at the end."""
    name = f"trt-nemotron-test-{os.getpid()}"
    yield {
        **os.environ,
        "PATH": f"{write_shim(tmp_path / 'shim').parent}:{os.environ['PATH']}",
        "ENGINE": "podman",
        "IMAGE": image,
        "NAME": name,
        "PORT": str(port),
        "SECRETS": "HF_TOKEN",
        "HF_TOKEN": "hf_of_a_test",
    }
    podman("rm", "--force", "--ignore", name)
    for volume in podman("volume", "ls", "--quiet").split():
        if built.manifest.configuration_sha256[:12] in volume:
            podman("volume", "rm", "--force", volume)


def answer(port: int, process: "subprocess.Popen[str]") -> bytes:
    """What the server in the container has, once it serves."""
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/plan.json", timeout=5) as got:
                body: bytes = got.read()
                return body
        except OSError:
            time.sleep(0.1)


def containers(podman: Callable[..., str], variables: dict[str, str]) -> list[str]:
    label = f"label=io.trt-nemotron.starter={variables['NAME']}"
    return podman("ps", "--all", "--quiet", "--filter", label).split()


def test_it_serves_the_bundle_confined_and_ends_at_once(
    built: Built, variables: dict[str, str], port: int, podman: Callable[..., str]
):
    process = subprocess.Popen(
        [built.folder / "start/start.sh"],
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert answer(port, process) == (built.folder / "plan.json").read_bytes()
        assert len(containers(podman, variables)) == 1
        command = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert b"hf_of_a_test" not in command
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    lines = said.splitlines()
    assert "arguments: /bundle/model/" in said
    assert {
        "home: /cache/home", "secret: hf_of_a_test", "weights: seen", "configuration: seen",
        "scratch: /tmp", "scratch: /cache", "CapEff:\t0000000000000000", "NoNewPrivs:\t1",
    } <= set(lines)  # fmt: skip
    assert not [line for line in lines if line.startswith("writable")]
    assert "init: trtllm-serve" not in lines
    assert containers(podman, variables) == []


def test_what_a_killed_engine_left_is_removed(
    built: Built, variables: dict[str, str], port: int, podman: Callable[..., str]
):
    script = built.folder / "start/start.sh"
    process = subprocess.Popen([script], env=variables, stdout=subprocess.PIPE, text=True)
    try:
        answer(port, process)
    finally:
        process.kill()
        process.communicate()
    assert len(containers(podman, variables)) == 1, "the container outlives the engine's client"
    subprocess.run([script, "remove"], env=variables, check=True, capture_output=True, timeout=60)
    assert containers(podman, variables) == []


def test_an_image_that_is_not_here_is_refused_by_the_real_engine(
    built: Built, variables: dict[str, str]
):
    done = subprocess.run(
        [built.folder / "start/start.sh"],
        env={**variables, "IMAGE": "localhost/there-is-none:1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 3
    assert "podman pull localhost/there-is-none:1" in done.stderr
