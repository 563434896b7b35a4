"""`pack` and `unpack` as a user runs them: a process, its two outputs, its exit code."""

import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[2]


def run(*arguments: object, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "trt_nemotron", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=cwd,
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that no test changes."""
    folder = tmp_path_factory.mktemp("built")
    done = run("build", "--target", "cpu", "--out", "b", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "b"


@pytest.fixture
def packed(built: Path, tmp_path: Path) -> Path:
    done = run("pack", built, "--out", tmp_path / "b.tar", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    return tmp_path / "b.tar"


def test_a_packed_bundle_unpacked_elsewhere_verifies_and_serves(packed: Path, tmp_path: Path):
    device = tmp_path / "device"
    device.mkdir()
    shown = run("unpack", packed, "--json", cwd=device)
    assert shown.returncode == 0, shown.stderr
    bundle = json.loads(shown.stdout)["bundle"]
    assert Path(bundle).parent == device / "bundles"
    assert run("verify", bundle, cwd=device).returncode == 0
    served = run("serve", bundle, "--name", "unpacked", "--detach", "--json", cwd=device)
    try:
        assert served.returncode == 0, served.stderr
        assert json.loads(served.stdout)["url"].startswith("http://127.0.0.1:")
    finally:
        assert run("stop", "unpacked", cwd=device).returncode == 0


def test_what_pack_says_is_so(built: Path, tmp_path: Path):
    shutil.copytree(built, tmp_path / "mine")
    foreseen = run("pack", "mine", "--dry-run", "--json", cwd=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    done = json.loads(run("pack", "mine", "--json", cwd=tmp_path).stdout)
    archive = tmp_path / "mine.tar"
    assert done["archive"] == str(archive)
    assert done["size_bytes"] == archive.stat().st_size
    assert done["size_bytes"] == json.loads(foreseen.stdout)["size_bytes"]
    assert done["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    again = run("pack", "mine", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (2, "")
    assert "exists" in again.stderr
    assert run("pack", "mine", "--force", cwd=tmp_path).returncode == 0


def test_a_dry_run_of_unpack_changes_nothing(packed: Path, tmp_path: Path):
    before = sorted(tmp_path.iterdir())
    done = run("unpack", packed, "--dry-run", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["action"] == "unpack"
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("pack", "nowhere"), 2, "there is no bundle"),
        (("unpack", "nowhere"), 2, "nowhere"),
        (("unpack", "b.tar.gz"), 10, "compressed"),
        (("unpack", "half.tar"), 10, "bytes instead of"),
        (("unpack", "b.tar", "--out", "b.tar"), 2, "no bundle of ours"),
        (("unpack", "b.tar", "--out", "/proc/b"), 3, ""),
    ],
    ids=str,
)
def test_a_mistake_gets_one_message_and_its_exit_code(
    packed: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, word: str
):
    (tmp_path / "half.tar").write_bytes(packed.read_bytes()[:-20480])
    subprocess.run(["gzip", "--keep", "--fast", packed], check=True, timeout=60)
    before = sorted(tmp_path.iterdir())
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert sorted(tmp_path.iterdir()) == before


def test_a_killed_unpack_leaves_nothing_that_looks_whole_and_the_next_cleans_up(
    packed: Path, tmp_path: Path
):
    data = packed.read_bytes()
    out = tmp_path / "o" / "b"
    with subprocess.Popen(
        [sys.executable, "-m", "trt_nemotron", "unpack", "-", "--out", str(out)],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(data[: len(data) // 2])
        process.stdin.flush()
        wait_for(lambda: list(out.parent.glob(".b.building-*/bundle/model/model.gguf")))
        process.kill()
        process.wait(10)
    assert not out.exists()
    assert len(list(out.parent.iterdir())) == 1
    assert run("unpack", packed, "--out", out, cwd=tmp_path).returncode == 0
    assert [path.name for path in out.parent.iterdir()] == ["b"]


PACK_SLOWLY = """
import sys, time
from pathlib import Path
from trt_nemotron.deploy.archive.packing import pack_bundle

class Slow:
    def phase(self, text): pass
    def note(self, text): pass
    def step(self, done, total, unit): time.sleep(60)

pack_bundle(Path(sys.argv[1]), Path(sys.argv[2]), Slow())
"""


def test_a_killed_pack_leaves_no_archive_and_the_next_cleans_up(built: Path, tmp_path: Path):
    out = tmp_path / "o" / "b.tar"
    with subprocess.Popen(
        [sys.executable, "-c", PACK_SLOWLY, str(built), str(out)],
        cwd=REPOSITORY,
    ) as process:
        wait_for(lambda: list(out.parent.glob(".b.tar.building-*/bundle/b.tar")))
        process.kill()
        process.wait(10)
    assert not out.exists()
    assert run("pack", built, "--out", out, cwd=tmp_path).returncode == 0
    assert {path.name for path in out.parent.iterdir()} == {"b.tar", "b.tar.sha256"}


def wait_for(found: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.02)
