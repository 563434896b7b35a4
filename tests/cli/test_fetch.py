"""`fetch`, and what takes its result, as a user runs them: processes, outputs, exit codes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.checkpoint.hub.hub_double import (
    COMMIT,
    REPOSITORY,
    TOKEN,
    HubDouble,
    running_double,
)
from tests.deploy.random_checkpoint import RandomCheckpoint

pytestmark = pytest.mark.slow

REFERENCE = f"hub:{REPOSITORY}@{COMMIT}"
SHARD = "model-00002-of-00003.safetensors"
PLAN = ("--target", "h100-sxm", "--checkpoint", REFERENCE)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of more than the 10 MiB that the hub's library hands on at a time."""
    large = RandomCheckpoint({"vocab_size": 250_000}, stored="BF16", shards=3)
    return large.write(tmp_path_factory.mktemp("large"))


@pytest.fixture
def hub(checkpoint: Path) -> Iterator[HubDouble]:
    with running_double() as double:
        double.hold(checkpoint, ("pytorch_model.bin", b"a pickle"))
        yield double
    assert not double.strays


class Machine:
    """A user's machine: its variables and folders; what runs on it sees nothing else of ours."""

    def __init__(self, hub: HubDouble, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "hub"
        self.snapshot = (
            self.cache / f"models--{REPOSITORY.replace('/', '--')}" / "snapshots" / COMMIT
        )
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        self.variables = {
            **kept,
            "HF_ENDPOINT": hub.endpoint,
            "HF_HUB_CACHE": str(self.cache),
            "HF_HOME": str(folder / "home"),
            "TRT_NEMOTRON_CACHE_DIR": str(folder / "cache"),
        }

    def start(self, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "trt_nemotron", *arguments],
            env={**self.variables, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
        )

    def run(self, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        process = self.start(*arguments, **variables)
        out, err = process.communicate(timeout=60)
        assert "Traceback" not in err
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)


@pytest.fixture
def machine(hub: HubDouble, tmp_path: Path) -> Machine:
    return Machine(hub, tmp_path)


@pytest.fixture
def fetched(machine: Machine) -> Machine:
    done = machine.run("fetch", REFERENCE)
    assert done.returncode == 0, done.stderr
    return machine


def test_what_was_fetched_is_planned_and_built_without_a_network(fetched: Machine, hub: HubDouble):
    hub.seen.clear()
    planned = fetched.run("plan", *PLAN, "--json")
    assert planned.returncode == 0, planned.stderr
    assert json.loads(planned.stdout)["checkpoint"]["revision"] == COMMIT
    built = fetched.run("build", *PLAN, "--out", "b", "--json")
    assert built.returncode == 0, built.stderr
    files = {it["path"] for it in json.loads(built.stdout)["manifest"]["files"]}
    assert f"model/tiny-hybrid/{SHARD}" in files
    assert not [path for path in (fetched.folder / "b").rglob("*") if path.is_symlink()]
    assert fetched.run("verify", "b").returncode == 0
    assert not hub.seen


def test_a_dry_run_lists_sizes_and_disk_and_changes_nothing(machine: Machine, hub: HubDouble):
    done = machine.run("fetch", REFERENCE, "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["reference"] == REFERENCE
    assert (
        told["fetch_bytes"] == told["total_bytes"] == sum(it["size_bytes"] for it in told["files"])
    )
    assert told["free_bytes"] > 0
    assert "pytorch_model.bin" not in {it["name"] for it in told["files"]}
    assert not machine.cache.exists()
    shown = machine.run("fetch", REFERENCE, "--dry-run")
    assert SHARD in shown.stderr
    assert shown.stdout == ""
    assert not hub.sent_files()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_however_it_ends_the_next_run_goes_on(
    machine: Machine, hub: HubDouble, number: signal.Signals
):
    hub.pace_s = 0.005
    tool = machine.start("fetch", REFERENCE)
    partial = _first_partial(machine, tool)
    tool.send_signal(number)
    tool.communicate(timeout=30)
    assert tool.returncode == {9: -9, 15: 143, 2: 130}[number]
    kept = partial.stat().st_size
    hub.pace_s = 0.0
    hub.seen.clear()
    done = machine.run("fetch", REFERENCE, "--json")
    assert done.returncode == 0, done.stderr
    assert f"bytes={kept}-" in {it.headers.get("range") for it in hub.seen if it.is_store}
    assert not list(machine.cache.rglob("*.incomplete"))


def _first_partial(machine: Machine, tool: "subprocess.Popen[str]") -> Path:
    """A partial file that holds something, as soon as there is one."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and tool.poll() is None:
        for path in machine.cache.glob("models--*/trt-nemotron/*.incomplete"):
            if path.stat().st_size > 1_000_000:
                return path
        time.sleep(0.005)
    raise AssertionError(tool.communicate()[1])


def test_offline_uses_the_cache_only(fetched: Machine, hub: HubDouble):
    hub.seen.clear()
    for arguments, variables in (((), {"HF_HUB_OFFLINE": "1"}), (("--offline",), {})):
        done = fetched.run("fetch", REFERENCE, "--json", *arguments, **variables)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["snapshot"] == str(fetched.snapshot)
    assert not hub.seen


def test_offline_without_the_cache_says_what_to_run(machine: Machine):
    done = machine.run("fetch", REFERENCE, "--offline")
    assert done.returncode == 7
    assert f"trt-nemotron fetch {REFERENCE}" in done.stderr


@pytest.mark.parametrize("command", ["plan", "build"])
def test_planning_what_was_not_fetched_says_what_to_run(machine: Machine, command: str):
    done = machine.run(command, *PLAN)
    assert done.returncode == 7
    assert f"trt-nemotron fetch {REFERENCE}" in done.stderr


def test_a_snapshot_that_nobody_verified_is_not_planned(fetched: Machine):
    shutil.rmtree(fetched.snapshot.parents[1] / "trt-nemotron")
    done = fetched.run("plan", *PLAN)
    assert done.returncode == 7
    assert "nobody verified" in done.stderr
    assert f"fetch --offline {REFERENCE}" in done.stderr
    assert fetched.run("fetch", "--offline", REFERENCE).returncode == 0
    assert fetched.run("plan", *PLAN).returncode == 0


def test_no_token_is_ever_shown_or_kept(machine: Machine, hub: HubDouble):
    hub.is_gated = True
    anonymous = machine.run("fetch", REFERENCE)
    assert anonymous.returncode == 3
    assert "gated" in anonymous.stderr
    wrong = machine.run("fetch", REFERENCE, "--token-env", "MINE", "--json", MINE="hf_wrongSecret")
    assert wrong.returncode == 3
    assert "the token in MINE" in wrong.stderr
    assert "hf_wrongSecret" not in wrong.stdout + wrong.stderr
    hub.is_gated = False
    right = machine.run("fetch", REFERENCE, "--json", HF_TOKEN=TOKEN, HF_DEBUG="1")
    assert right.returncode == 0, right.stderr
    assert TOKEN not in right.stdout + right.stderr
    assert {it.headers.get("authorization") for it in hub.seen if it.is_store} == {None}
    for path in machine.folder.rglob("*"):
        if path.is_file() and path.stat().st_size < 1_000_000:
            assert TOKEN.encode() not in path.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("owner/name",), 2, "no commit of owner/name is pinned"),
        (("owner/name@main",), 2, "can be moved"),
        (("nothing",), 2, "no published checkpoint"),
        ((REFERENCE, "--token-env", "UNSET"), 2, "UNSET is not set"),
        ((f"{REPOSITORY}@{'f' * 40}",), 2, "has no commit"),
    ],
    ids=str,
)
def test_a_mistake_gets_one_message_and_its_exit_code(
    machine: Machine, arguments: tuple[str, ...], code: int, word: str
):
    done = machine.run("fetch", *arguments)
    assert done.returncode == code, done.stderr
    assert word in done.stderr
    assert done.stdout == ""


def test_a_shard_of_other_weights_is_refused_before_anything_is_built(fetched: Machine):
    """The same model trained again: names, shapes and sizes agree, and only its hash tells."""
    other = RandomCheckpoint({"vocab_size": 250_000}, stored="BF16", shards=3, seed=2)
    foreign = other.write(fetched.folder / "other") / SHARD
    real = (fetched.snapshot / SHARD).resolve()
    assert foreign.stat().st_size == real.stat().st_size
    shutil.copyfile(foreign, real)
    done = fetched.run("build", *PLAN, "--out", "b")
    assert done.returncode == 7
    assert f"{SHARD} is not the file that was published" in done.stderr
    assert not (fetched.folder / "b").exists()
    repaired = fetched.run("fetch", REFERENCE)
    assert "damaged on this disk" in repaired.stderr
    assert fetched.run("build", *PLAN, "--out", "b").returncode == 0


def test_only_asking_the_hub_needs_its_library(fetched: Machine):
    blocked = fetched.folder / "blocked"
    blocked.mkdir()
    (blocked / "huggingface_hub.py").write_text("raise ImportError('not here')")
    done = fetched.run("fetch", REFERENCE, PYTHONPATH=str(blocked))
    assert done.returncode == 3
    assert "trt-nemotron[hub]" in done.stderr
    for arguments in (("fetch", REFERENCE, "--offline"), ("plan", *PLAN)):
        assert fetched.run(*arguments, PYTHONPATH=str(blocked)).returncode == 0
