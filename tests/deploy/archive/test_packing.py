"""Packing: the same bytes each time, readable by any tar, and nothing that is damaged."""

import hashlib
import shutil
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from trt_nemotron.deploy.archive import packing
from trt_nemotron.deploy.archive.packing import foresee_packing, pack_bundle
from trt_nemotron.deploy.bundle.reader import read_bundle, verify_bundle
from trt_nemotron.errors import BundleDamaged, EnvironmentUnfit, InvalidInput


class Steps:
    """Keeps how far a stage said it was."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []

    def phase(self, text: str) -> None:
        pass

    def step(self, done: int, total: int, unit: str) -> None:
        self.steps.append((done, total))

    def note(self, text: str) -> None:
        pass


@pytest.fixture
def own(bundle: Path, tmp_path: Path) -> Path:
    """A bundle to damage."""
    shutil.copytree(bundle, tmp_path / "own")
    return tmp_path / "own"


def test_the_same_bundle_gives_the_same_bytes_wherever_it_lies(
    bundle: Path, own: Path, tmp_path: Path
):
    for path in own.rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            path.touch()
    one = pack_bundle(bundle, tmp_path / "one.tar")
    two = pack_bundle(own, tmp_path / "two.tar")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    assert one.sha256 == two.sha256
    assert one.sha256 == hashlib.sha256((tmp_path / "one.tar").read_bytes()).hexdigest()


def test_size_is_foreseen_and_progress_reaches_it(bundle: Path, tmp_path: Path):
    foreseen = foresee_packing(bundle, tmp_path / "one.tar")
    assert not list(tmp_path.iterdir())
    steps = Steps()
    packed = pack_bundle(bundle, tmp_path / "one.tar", steps)
    assert packed.size_bytes == foreseen.size_bytes == (tmp_path / "one.tar").stat().st_size
    assert steps.steps[-1] == (packed.size_bytes, packed.size_bytes)
    assert steps.steps == sorted(steps.steps)


def test_nothing_else_is_left_and_the_hash_lies_beside_it(bundle: Path, tmp_path: Path):
    pack_bundle(bundle, tmp_path / "b.tar")
    assert {path.name for path in tmp_path.iterdir()} == {"b.tar", "b.tar.sha256"}
    assert stat.S_IMODE((tmp_path / "b.tar").stat().st_mode) == 0o644
    checked = subprocess.run(
        ["sha256sum", "--strict", "-c", "b.tar.sha256"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert checked.stdout == "b.tar: OK\n"


@pytest.mark.parametrize("program", ["tar", "busybox tar", "tarfile"])
def test_any_tar_restores_the_bundle(bundle: Path, tmp_path: Path, program: str):
    pack_bundle(bundle, tmp_path / "b.tar")
    out = tmp_path / "out"
    out.mkdir()
    words = program.split()
    if program == "tarfile":
        with tarfile.open(tmp_path / "b.tar") as archive:
            archive.extractall(out, filter="data")
    elif shutil.which(words[0]):
        command = [*words, "-xf", str(tmp_path / "b.tar"), "-C", str(out)]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    else:
        pytest.skip(f"no {words[0]} here")
    restored = out / read_bundle(bundle)[0].name
    assert verify_bundle(restored) == verify_bundle(bundle)
    assert (restored / "start" / "start.sh").stat().st_mode & 0o777 == 0o755
    assert (restored / "plan.json").stat().st_mode & 0o777 == 0o644


def test_a_damaged_bundle_is_not_packed(own: Path, tmp_path: Path):
    weights = own / "model" / "config.yaml"
    data = weights.read_bytes()
    weights.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    with pytest.raises(BundleDamaged, match=r"config\.yaml"):
        pack_bundle(own, tmp_path / "b.tar")
    assert [path.name for path in tmp_path.iterdir()] == ["own"]


def test_an_archive_that_is_there_is_replaced_only_by_force(bundle: Path, tmp_path: Path):
    (tmp_path / "b.tar").write_text("mine")
    with pytest.raises(InvalidInput, match="exists"):
        pack_bundle(bundle, tmp_path / "b.tar")
    assert (tmp_path / "b.tar").read_text() == "mine"
    pack_bundle(bundle, tmp_path / "b.tar", force=True)
    assert tarfile.is_tarfile(tmp_path / "b.tar")


def test_no_hash_of_another_archive_is_ever_left_beside_one(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Interrupted between the two: an archive without a hash, and not with a wrong one."""

    def interrupted(path: Path, data: bytes) -> None:
        raise KeyboardInterrupt

    (tmp_path / "b.tar").write_text("old")
    (tmp_path / "b.tar.sha256").write_text("of the old one")
    monkeypatch.setattr(packing, "write_atomically", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pack_bundle(bundle, tmp_path / "b.tar", force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["b.tar"]
    assert tarfile.is_tarfile(tmp_path / "b.tar")


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_what_is_no_file_is_left_alone_even_by_force(bundle: Path, tmp_path: Path, kind: str):
    out = tmp_path / "b.tar"
    if kind == "folder":
        out.mkdir()
    else:
        out.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InvalidInput, match="no plain file"):
        pack_bundle(bundle, out, force=True)


def test_a_bundle_does_not_hold_its_own_archive(own: Path):
    with pytest.raises(InvalidInput, match="lie in the bundle"):
        pack_bundle(own, own / "model" / "b.tar")
    verify_bundle(own)


def test_too_little_space_is_said_before_anything_is_written(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(EnvironmentUnfit, match="not enough disk space"):
        pack_bundle(bundle, tmp_path / "b.tar")
    assert not list(tmp_path.iterdir())


def test_an_interrupted_pack_leaves_the_old_archive_and_nothing_else(bundle: Path, tmp_path: Path):
    class Interrupts(Steps):
        def step(self, done: int, total: int, unit: str) -> None:
            raise KeyboardInterrupt

    pack_bundle(bundle, tmp_path / "b.tar")
    before = (tmp_path / "b.tar").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        pack_bundle(bundle, tmp_path / "b.tar", Interrupts(), force=True)
    assert (tmp_path / "b.tar").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"b.tar", "b.tar.sha256"}
