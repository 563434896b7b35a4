"""`build` and `verify` as a user runs them: a process, its two outputs, its exit code."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from trt_nemotron.deploy.checkpoint.embedded import EMBEDDED_NAME

pytestmark = pytest.mark.slow

SLOW_SERVER = "#!/bin/sh\nexec sleep 300\n"


def run(*arguments: object, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "trt_nemotron", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=cwd,
    )


@pytest.fixture
def built(tmp_path: Path) -> Path:
    done = run("build", "--target", "cpu", "--out", "b", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    return tmp_path / "b"


def test_a_bundle_is_built_verified_and_kept(built: Path):
    shown = run("verify", "b", "--json", cwd=built.parent)
    assert shown.returncode == 0
    manifest = json.loads(shown.stdout)
    assert manifest["served_model_name"] == EMBEDDED_NAME
    names = {file["path"] for file in manifest["files"]}
    assert names == {"model/model.gguf", "plan.json", "sbom.cdx.json"}
    again = run("build", "--target", "cpu", "--out", "b", "--json", cwd=built.parent)
    assert json.loads(again.stdout) == {"bundle": "b", "manifest": manifest}
    foreseen = run(
        "build", "--target", "cpu", "--out", "b", "--dry-run", "--json", cwd=built.parent
    )
    assert json.loads(foreseen.stdout)["action"] == "keep"


def test_damage_has_its_exit_code_and_force_repairs_it(built: Path):
    with (built / "model" / "model.gguf").open("ab") as file:
        file.write(b"x")
    for arguments in (("verify", "b"), ("build", "--target", "cpu", "--out", "b")):
        done = run(*arguments, cwd=built.parent)
        assert done.returncode == 10
        assert "model/model.gguf" in done.stderr
    forced = run("build", "--target", "cpu", "--out", "b", "--force", cwd=built.parent)
    assert forced.returncode == 0
    assert run("verify", "b", cwd=built.parent).returncode == 0


def test_a_dry_run_changes_nothing_and_fails_as_the_build_would(tmp_path: Path):
    done = run("build", "--target", "cpu", "--dry-run", "--json", cwd=tmp_path)
    foreseen = json.loads(done.stdout)
    assert foreseen["action"] == "build"
    assert foreseen["bundle"] == "bundles/cpu-llamacpp-f16-trt-nemotron-embedded"
    assert not list(tmp_path.iterdir())
    (tmp_path / "mine").write_text("x")
    refused = run("build", "--target", "cpu", "--out", "mine", "--dry-run", cwd=tmp_path)
    assert refused.returncode == 2
    assert "no bundle of ours" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("verify", "nowhere"), 2, "there is no bundle"),
        (("verify", "."), 10, "manifest.json is missing"),
        (("build", "--target", "cpo"), 2, "cpu"),
        (("build", "--target", "cpu", "--precision", "q3"), 2, "q3"),
        (("build", "--target", "cpu", "--checkpoint", "nowhere"), 7, "nowhere"),
        (("build", "--target", "cpu", "--out", "/proc/b"), 3, ""),
    ],
    ids=str,
)
def test_a_mistake_gets_one_message_and_its_exit_code(
    tmp_path: Path, arguments: tuple[str, ...], code: int, word: str
):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_however_it_ends_while_loading_no_server_stays(tmp_path: Path, number: signal.Signals):
    server = tmp_path / "bin" / "llama-server"
    server.parent.mkdir()
    server.write_text(SLOW_SERVER)
    server.chmod(0o755)
    tool = subprocess.Popen(
        [sys.executable, "-m", "trt_nemotron", "build", "--target", "cpu", "--out", "o/b"],
        env={**os.environ, "TRT_NEMOTRON_LLAMA_SERVER": str(server)},
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
    )
    loader = _first_child(tool.pid)
    tool.send_signal(number)
    assert tool.wait(60) == {9: -9, 15: 143, 2: 130}[number]
    deadline = time.monotonic() + 60
    while loader.is_running() and loader.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the server outlived the tool"
        time.sleep(0.01)
    left = list((tmp_path / "o").iterdir())
    assert len(left) == (1 if number == signal.SIGKILL else 0)
    assert run("build", "--target", "cpu", "--out", "o/b", cwd=tmp_path).returncode == 0
    assert [path.name for path in (tmp_path / "o").iterdir()] == ["b"]


def _first_child(pid: int) -> psutil.Process:
    """The server that is being loaded, once it runs."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for child in psutil.Process(pid).children(recursive=True):
            if child.name() in {"sleep", "llama-server"}:
                return child
        time.sleep(0.01)
    raise AssertionError


def test_dry_run_refuses_a_release_that_the_build_would_refuse(tmp_path: Path):
    words = ("--target", "thor", "--release", "0.11.1", "--out", "b")
    for more in ((), ("--dry-run",)):
        done = run("build", *words, *more, cwd=tmp_path)
        assert done.returncode == 2
        assert "0.11.1 cannot be installed" in done.stderr
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("command", ["build", "image", "doctor"])
def test_blank_image_is_a_wrong_option(command: str, tmp_path: Path):
    done = run(command, "--target", "h100", "--image", "  ", cwd=tmp_path)
    assert done.returncode == 2
    assert "it is blank" in done.stderr
