"""The real thing, end to end: the embedded model, built, served by llama.cpp and asked."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

pytest.importorskip("xllamacpp")

pytestmark = pytest.mark.slow

TOOL = [sys.executable, "-m", "trt_nemotron"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "bundle"
    done = subprocess.run(
        [*TOOL, "build", "--target", "cpu", "--out", str(out)],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out


def run_tool(*arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [*TOOL, *arguments], capture_output=True, text=True, check=False, timeout=300
    )
    return done.returncode, done.stdout, done.stderr


def ask(url: str, question: str) -> str:
    body = {"messages": [{"role": "user", "content": question}], "temperature": 0}
    with requests.Session() as session:
        session.trust_env = False
        answer = session.post(f"{url}/v1/chat/completions", json=body, timeout=60)
    content: str = answer.json()["choices"][0]["message"]["content"]
    return content


def test_the_embedded_model_answers_and_leaves_nothing(built: Path, traces: Any):
    code, out, err = run_tool("serve", str(built), "--detach", "--json")
    assert code == 0, err
    endpoint = json.loads(out)
    try:
        assert "Paris" in ask(endpoint["url"], "What is the capital of France?")
        _, out, _ = run_tool("status", "--json")
        (seen,) = json.loads(out)["endpoints"]
        assert seen["endpoint"]["model"] == endpoint["model"]
        assert seen["rss_bytes"] < 400 * 2**20
        assert "llama_kv_cache" in run_tool("logs", endpoint["name"], "-n", "1000")[1]
    finally:
        code, _, err = run_tool("stop", endpoint["name"])
    assert code == 0, err
    assert not psutil.pid_exists(endpoint["server_pid"])
    assert not traces.guards()
    assert not traces.documents()


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
@pytest.mark.parametrize("victim", ["tool", "guard_pid", "server_pid"])
def test_whoever_is_killed_the_next_serve_works(
    built: Path, traces: Any, tmp_path: Path, eventually: Callable[..., Any], victim: str
):
    out = tmp_path / "out"
    with out.open("wb") as stdout:
        tool = subprocess.Popen(
            [*TOOL, "serve", str(built), "--json"], stdout=stdout, stderr=subprocess.DEVNULL
        )
    try:
        eventually(lambda: out.read_text().endswith("}\n") or tool.poll() is not None, "ready")
        endpoint = json.loads(out.read_text())
        os.kill(tool.pid if victim == "tool" else endpoint[victim], signal.SIGKILL)
        assert tool.wait(60) == (-9 if victim == "tool" else 9)
    finally:
        tool.kill()
        tool.wait()
    eventually(lambda: not traces.guards(), "no guard is left")
    eventually(lambda: not psutil.pid_exists(endpoint["server_pid"]), "no server is left")
    eventually(lambda: not traces.documents(), "nothing is on record")
    code, _, err = run_tool("serve", str(built), "--detach")
    assert code == 0, err
    assert run_tool("stop", "--all")[0] == 0


def test_a_taken_port_names_who_has_it(built: Path, traces: Any, tmp_path: Path):
    code, out, err = run_tool("serve", str(built), "--detach", "--json")
    assert code == 0, err
    endpoint = json.loads(out)
    port = endpoint["url"].rpartition(":")[2]
    try:
        code, _, err = run_tool("serve", str(built), "--name", "second", "--port", port)
        assert code == 3
        assert f"port {port} is taken" in err
        assert f"by process {endpoint['server_pid']}" in err
    finally:
        assert run_tool("stop", "--all")[0] == 0
    assert not traces.guards()
