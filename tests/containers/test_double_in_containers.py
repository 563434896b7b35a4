"""The product starts the double of `trtllm-serve` in real containers; the GPU alone is left out."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.containers.conftest import OUR_LABEL, Tool

pytestmark = pytest.mark.slow

Engine = Callable[..., str]
Variant = Callable[..., str]
Ours = Callable[[], set[str]]

NO_BASELINE = 5


def eventually(condition: Callable[[], object], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.1)


@pytest.fixture
def bundle(tool: Tool) -> Callable[..., Path]:
    """`bundle("spark")`: built with the embedded checkpoint."""

    def build(target: str, *words: str) -> Path:
        out = tool.folder / f"bundle-{target}"
        done = tool.run(
            "build", "--target", target, "--runtime", "trtllm", "--out", str(out), *words
        )
        assert done.returncode == 0, done.stderr
        return out

    return build


@pytest.mark.parametrize(
    ("target", "release", "more"),
    [
        ("h100-sxm", "1.3.0rc6", ()),
        ("spark", "1.3.0rc14", ()),
        ("thor", "1.2.1", ("--experimental",)),
    ],
)
def test_check_goes_all_the_way_and_leaves_no_container(  # noqa: PLR0917 - fixtures
    target: str, release: str, more: tuple[str, ...], tool: Tool, variant: Variant, ours: Ours
):
    done = tool.run(
        "check", "--target", target, "--runtime", "trtllm", "--release", release, *more,
        "--engine", "podman", "--image", variant(release), "--pull", "never", "--json",
    )  # fmt: skip
    # No budget for a board can be written without the board: the verdict says so, and is no pass.
    assert done.returncode == NO_BASELINE, done.stdout + done.stderr
    stages = {it["name"]: it for it in json.loads(done.stdout)["stages"]}
    assert {it["status"] for name, it in stages.items() if name != "gate"} == {"done"}
    assert "18 passed" in stages["smoke"]["summary"]
    assert not ours()


def start(tool: Tool, bundle: Path, image: str, *words: str) -> subprocess.Popen[str]:
    return tool.start(
        "serve", str(bundle), "--name", "contained", "--engine", "podman", "--image", image,
        "--pull", "never", "--json", *words,
    )  # fmt: skip


def inspected(engine: Engine, container: str) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads(engine("inspect", container))[0]
    return tree


@pytest.fixture
def served(
    tool: Tool, bundle: Callable[..., Path], variant: Variant, ours: Ours
) -> tuple[subprocess.Popen[str], str]:
    """A server in the foreground that is ready, and its container."""
    process = start(tool, bundle("spark"), variant("1.3.0rc14"))
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("}"):
            break
    assert "ready" in "".join(lines), "".join(lines)
    (container,) = ours()
    return process, container


def test_container_is_held_tight(served: tuple[subprocess.Popen[str], str], engine: Engine):
    tree = inspected(engine, served[1])
    host = tree["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert host["Privileged"] is False
    assert "no-new-privileges" in host["SecurityOpt"]
    assert not tree["EffectiveCaps"]
    bindings = [it for listed in host["PortBindings"].values() for it in listed]
    assert {it["HostIp"] for it in bindings} == {"127.0.0.1"}
    assert host["NetworkMode"] != "host"
    mounts = {it["Destination"]: it for it in tree["Mounts"]}
    assert mounts["/bundle"]["RW"] is False
    assert mounts["/cache"]["Type"] == "volume"
    assert OUR_LABEL in tree["Config"]["Labels"]
    inside = {it.partition("=")[0] for it in tree["Config"]["Env"]}
    assert not [name for name in inside if name.startswith(("OMPI_", "PMIX_"))]
    assert "can be written by the server" not in engine("logs", served[1])
    # Compiled artefacts outlive it, in the volume.
    found = engine("exec", served[1], "/bin/find", "/cache", "-name", "trtllm-double")
    assert "/cache/triton" in found.lower()


def test_stop_from_another_command_ends_it(
    served: tuple[subprocess.Popen[str], str], tool: Tool, ours: Ours
):
    process, container = served
    done = tool.run("stop", "contained")
    assert done.returncode == 0, done.stderr
    assert process.wait(timeout=30) == 0
    eventually(lambda: container not in ours())


def test_ctrl_c_ends_it(served: tuple[subprocess.Popen[str], str], ours: Ours):
    process, container = served
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 0
    eventually(lambda: container not in ours())


def test_killed_tool_leaves_no_container(served: tuple[subprocess.Popen[str], str], ours: Ours):
    process, container = served
    process.kill()
    process.wait(timeout=30)
    eventually(lambda: container not in ours())


def test_server_that_is_killed_in_its_container_is_noticed(
    served: tuple[subprocess.Popen[str], str], engine: Engine, ours: Ours
):
    process, container = served
    engine("kill", "--signal", "KILL", container)
    assert process.wait(timeout=30) != 0
    eventually(lambda: container not in ours())


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("exit:weights", "CUDA out of memory"),
        ("exit:graphs", "insufficient GPU memory"),
        ("exit:autotuner", "ptxas"),
    ],
)
def test_failed_start_tells_the_cause_and_leaves_nothing(  # noqa: PLR0917 - fixtures
    fault: str, text: str, tool: Tool, bundle: Callable[..., Path], variant: Variant, ours: Ours
):
    process = start(tool, bundle("spark"), variant("1.3.0rc14", fault))
    said, _ = process.communicate(timeout=60)
    assert process.returncode not in {0, NO_BASELINE}
    assert text in said
    eventually(lambda: not ours())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_start_that_is_broken_off_leaves_nothing(
    number: signal.Signals, tool: Tool, bundle: Callable[..., Path], variant: Variant, ours: Ours
):
    process = start(tool, bundle("spark"), variant("1.3.0rc14", "hang:pools"))
    eventually(ours)
    process.send_signal(number)
    process.communicate(timeout=60)
    eventually(lambda: not ours())


def test_server_that_never_answers_is_given_up(
    tool: Tool, bundle: Callable[..., Path], variant: Variant, ours: Ours
):
    process = start(tool, bundle("spark"), variant("1.3.0rc14", "mute"), "--timeout", "8")
    said, _ = process.communicate(timeout=90)
    assert process.returncode != 0
    assert "not ready after 8 s" in said
    eventually(lambda: not ours())


def test_release_that_the_plan_is_not_for_is_found_out_at_the_start(
    tool: Tool, bundle: Callable[..., Path], variant: Variant
):
    process = start(tool, bundle("spark"), variant("1.3.0rc6"))
    said, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "No such option" in said
