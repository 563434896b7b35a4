"""Bundles: whole or not there, the same bytes each time, and every damage found."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from trt_nemotron.deploy.bundle import placing
from trt_nemotron.deploy.bundle.destination import MARGIN_BYTES, check_destination
from trt_nemotron.deploy.bundle.reader import read_bundle, verify_bundle
from trt_nemotron.deploy.bundle.values import Manifest, bundle_name, sealed
from trt_nemotron.deploy.bundle.writer import build_bundle, find_built
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.machine import Machine
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.planning import make_plan
from trt_nemotron.deploy.runtimes.catalogue import get_runtime
from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.document import convert, to_json
from trt_nemotron.errors import (
    BundleDamaged,
    CheckpointUnusable,
    EnvironmentUnfit,
    InvalidInput,
)
from trt_nemotron.progress import SILENT, Progress

LAPTOP = Machine(architecture="x86_64", cores=2, memory_total_bytes=8 << 30)
RUNTIME = get_runtime("llamacpp")
REPOSITORY = Path(__file__).resolve().parents[2]


class Notes:
    """Keeps what a stage says of lasting interest."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def phase(self, text: str) -> None:
        pass

    def step(self, done: int, total: int, unit: str) -> None:
        assert 0 <= done <= total

    def note(self, text: str) -> None:
        self.notes.append(text)


class SlowRuntime:
    """A double of the real runtime that stops for a while in the middle of its build."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.built_bytes = RUNTIME.built_bytes
        self.image = RUNTIME.image

    def build(
        self, plan: Plan, checkpoint: Checkpoint, model_folder: Path, progress: Progress
    ) -> str:
        (model_folder / "half").write_bytes(b"half of a file")
        time.sleep(self._seconds)
        (model_folder / "half").unlink()
        return RUNTIME.build(plan, checkpoint, model_folder, progress)


def planned(checkpoint: Path, **wishes: object) -> tuple[Plan, Checkpoint]:
    return make_plan("cpu", "llamacpp", checkpoint, Wishes(**wishes), LAPTOP)  # type: ignore[arg-type]


def built(out: Path, checkpoint: Path, **wishes: object) -> Manifest:
    plan, opened = planned(checkpoint, **wishes)
    return build_bundle(out, plan, opened, RUNTIME)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def alone(out: Path) -> bool:
    """Nothing but the bundle lies where it was built."""
    return [path.name for path in out.parent.iterdir()] == [out.name]


@pytest.fixture(scope="module")
def whole(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that no test changes."""
    out = tmp_path_factory.mktemp("bundles") / "whole"
    built(out, tiny_checkpoint)
    return out


@pytest.fixture
def bundle(whole: Path, tmp_path: Path) -> Path:
    """A bundle to damage. Copying it also shows that a bundle may be moved."""
    shutil.copytree(whole, tmp_path / "moved" / "bundle")
    return tmp_path / "moved" / "bundle"


def test_a_bundle_verifies_and_holds_its_plan(whole: Path, tiny_checkpoint: Path):
    manifest = verify_bundle(whole, Notes())
    assert (manifest, planned(tiny_checkpoint)[0]) == read_bundle(whole)
    assert {file.path for file in manifest.files} == {
        "model/model.gguf",
        "plan.json",
        "sbom.cdx.json",
    }
    assert (whole / manifest.model_path).is_file()
    assert manifest.name == bundle_name(planned(tiny_checkpoint)[0])


def test_same_inputs_give_the_same_bytes_wherever_they_lie(
    whole: Path, tiny_checkpoint: Path, tmp_path: Path
):
    elsewhere = tmp_path / tiny_checkpoint.name  # the folder's name is the model's name
    shutil.copytree(tiny_checkpoint, elsewhere)
    old_umask = os.umask(0o077)
    try:
        built(tmp_path / "b" / "other", elsewhere)
    finally:
        os.umask(old_umask)
    assert contents(tmp_path / "b" / "other") == contents(whole)
    modes = {path: path.stat().st_mode & 0o777 for path in (tmp_path / "b" / "other").rglob("*")}
    assert set(modes.values()) == {0o644, 0o755}


def test_no_place_or_time_of_the_building_machine_is_in_a_bundle(
    whole: Path, tiny_checkpoint: Path
):
    everything = b"".join(contents(whole).values())
    for word in (str(tiny_checkpoint.parent), str(whole.parent), os.uname().nodename):
        assert word.encode() not in everything


def damages() -> dict[str, Callable[[Path], None]]:
    def flip(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)

    def link(path: Path) -> None:
        path.rename(path.parent.parent.parent / "outside")
        path.symlink_to(path.parent.parent.parent / "outside")

    def link_inside(path: Path) -> None:
        (path.parent / "again").symlink_to(path.name)

    def pipe(path: Path) -> None:
        path.unlink()
        os.mkfifo(path)

    def add(path: Path) -> None:
        path.with_name("extra").write_text("")

    def add_hidden(path: Path) -> None:
        (path.parent / ".new").mkdir()
        (path.parent / ".new" / "file").write_text("x")

    def lengthen(path: Path) -> None:
        path.write_bytes(path.read_bytes() + b"x")

    return {
        "a bit flipped": flip,
        "removed": Path.unlink,
        "cut short": lambda path: os.truncate(path, path.stat().st_size - 1),
        "emptied": lambda path: os.truncate(path, 0),
        "longer": lengthen,
        "a link to outside": link,
        "a link inside": link_inside,
        "a pipe": pipe,
        "one more": add,
        "one more, hidden, in a new folder": add_hidden,
    }


@pytest.mark.parametrize("name", ["model/model.gguf", "plan.json", "manifest.json"])
@pytest.mark.parametrize("damage", list(damages()))
def test_every_damage_to_every_file_is_found(bundle: Path, name: str, damage: str):
    damages()[damage](bundle / name)
    with pytest.raises(BundleDamaged) as caught:
        verify_bundle(bundle)
    added = ("one more", "one more, hidden, in a new folder", "a link inside")
    if damage not in added:
        assert Path(name).name in caught.value.message + caught.value.evidence


@pytest.fixture
def deep_folder(bundle: Path) -> Iterator[Path]:
    """One in a bundle, deeper than recursion goes; pytest could not remove it, so it goes here."""
    folder = bundle
    for _ in range(sys.getrecursionlimit() + 100):
        folder /= "d"
        folder.mkdir()
    yield folder
    subprocess.run(["rm", "-rf", str(bundle / "d")], check=True)


def test_folders_deeper_than_recursion_goes_are_looked_through(bundle: Path, deep_folder: Path):
    (deep_folder / "x").touch()
    with pytest.raises(BundleDamaged, match="does not belong to this bundle"):
        verify_bundle(bundle)


@pytest.mark.parametrize("name", ["manifest.json", "plan.json"])
def test_a_document_that_is_a_link_is_refused_though_it_says_the_same(bundle: Path, name: str):
    outside = bundle.parent / "outside.json"
    (bundle / name).rename(outside)
    (bundle / name).symlink_to(outside)
    with pytest.raises(BundleDamaged, match=name):
        read_bundle(bundle)


def edited(bundle: Path, **changes: object) -> None:
    """Change the manifest and, where it can still be read, renew its seal: a forger would."""
    tree = {**json.loads((bundle / "manifest.json").read_text()), **changes}
    try:
        data = to_json(sealed(convert(tree, Manifest, origin="the test")))
    except InvalidInput:
        data = json.dumps(tree).encode()
    (bundle / "manifest.json").write_bytes(data)


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": "trt-nemotron/bundle/2"},
        {"configuration_sha256": "0" * 64},
        {"unknown": 1},
        {"model_path": "../outside"},
        {"model_path": "/etc/passwd"},
        {"files": []},
        {"files": [{"path": "../../x", "size_bytes": 1, "sha256": "0"}]},
        {"files": [{"path": "/x", "size_bytes": 1, "sha256": "0"}]},
        {"files": [{"path": "", "size_bytes": 1, "sha256": "0"}]},
    ],
    ids=str,
)
def test_a_manifest_that_was_edited_is_found(bundle: Path, changes: dict[str, object]):
    edited(bundle, **changes)
    with pytest.raises(BundleDamaged):
        verify_bundle(bundle)


def test_a_file_cut_short_is_found_without_hashing(bundle: Path):
    os.truncate(bundle / "model" / "model.gguf", 1000)
    with pytest.raises(BundleDamaged, match=r"model/model\.gguf"):
        read_bundle(bundle)


@pytest.mark.parametrize(
    "field", ["name", "tool_version", "target", "release", "served_model_name", "source_sha256"]
)
def test_a_changed_word_in_the_manifest_is_found(bundle: Path, field: str):
    tree = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_bytes(to_json({**tree, field: "x"}))
    with pytest.raises(BundleDamaged, match=r"manifest\.json"):
        read_bundle(bundle)


def test_reading_a_folder_that_is_not_there_is_the_users_mistake(tmp_path: Path):
    with pytest.raises(InvalidInput, match="there is no bundle at"):
        read_bundle(tmp_path / "none")


def test_the_same_build_again_is_kept(bundle: Path, tiny_checkpoint: Path):
    plan, checkpoint = planned(tiny_checkpoint)
    before = (bundle / "model" / "model.gguf").stat().st_mtime_ns
    notes = Notes()
    build_bundle(bundle, plan, checkpoint, RUNTIME, notes, force=True)
    assert (bundle / "model" / "model.gguf").stat().st_mtime_ns == before
    assert notes.notes == [f"already built: {bundle}"]
    assert find_built(bundle, plan, checkpoint) is not None


def test_another_plan_replaces_a_bundle_only_by_force(bundle: Path, tiny_checkpoint: Path):
    before = contents(bundle)
    with pytest.raises(InvalidInput, match="another bundle"):
        built(bundle, tiny_checkpoint, slots=1)
    assert contents(bundle) == before
    plan, checkpoint = planned(tiny_checkpoint, slots=1)
    assert find_built(bundle, plan, checkpoint) is None
    build_bundle(bundle, plan, checkpoint, RUNTIME, force=True)
    assert (
        verify_bundle(bundle).configuration_sha256
        != json.loads(before["manifest.json"])["configuration_sha256"]
    )
    assert alone(bundle)


def test_new_weights_under_the_same_plan_are_another_bundle(
    bundle: Path, tiny_checkpoint: Path, random_checkpoints: ModuleType, tmp_path: Path
):
    retrained = random_checkpoints.RandomCheckpoint(seed=2).write(tmp_path / tiny_checkpoint.name)
    assert planned(retrained)[0] == planned(tiny_checkpoint)[0]
    with pytest.raises(InvalidInput, match="another bundle"):
        built(bundle, retrained)


def test_a_damaged_bundle_is_reported_and_replaced_by_force(bundle: Path, tiny_checkpoint: Path):
    (bundle / "model" / "model.gguf").write_bytes(b"x")
    with pytest.raises(BundleDamaged):
        built(bundle, tiny_checkpoint)
    plan, checkpoint = planned(tiny_checkpoint)
    assert find_built(bundle, plan, checkpoint) is None
    build_bundle(bundle, plan, checkpoint, RUNTIME, force=True)
    verify_bundle(bundle)


@pytest.mark.parametrize("kind", ["folder", "file", "link", "foreign manifest"])
def test_what_is_not_ours_is_left_alone_even_by_force(
    whole: Path, tiny_checkpoint: Path, tmp_path: Path, kind: str
):
    out = tmp_path / "out"
    if kind == "file":
        out.write_text("a file")
    elif kind == "link":
        out.symlink_to(whole)
    else:
        out.mkdir()
        (out / ("manifest.json" if kind == "foreign manifest" else "thesis.txt")).write_text("{}")
    plan, checkpoint = planned(tiny_checkpoint, slots=1)
    with pytest.raises(InvalidInput, match="no bundle of ours"):
        build_bundle(out, plan, checkpoint, RUNTIME, force=True)
    assert out.exists()
    assert alone(out)


def test_an_empty_folder_may_be_built_into(tiny_checkpoint: Path, tmp_path: Path):
    (tmp_path / "out").mkdir()
    built(tmp_path / "out", tiny_checkpoint)
    verify_bundle(tmp_path / "out")


def test_a_file_of_the_checkpoint_that_has_gone_is_named(
    random_checkpoints: ModuleType, tmp_path: Path
):
    plan, checkpoint = planned(random_checkpoints.RandomCheckpoint().write(tmp_path / "c"))
    (tmp_path / "c" / "tokenizer_config.json").unlink()
    with pytest.raises(CheckpointUnusable, match=r"tokenizer_config\.json"):
        build_bundle(tmp_path / "b" / "out", plan, checkpoint, RUNTIME)
    assert not (tmp_path / "b").exists()


def test_too_little_space_is_said_before_anything_is_written(tiny_checkpoint: Path, tmp_path: Path):
    free = shutil.disk_usage(tmp_path).free
    with pytest.raises(EnvironmentUnfit, match=f"{free * 2 + 4 * 1024 * 1024} bytes are needed"):
        check_destination(tmp_path / "not" / "yet" / "there", free * 2, force=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounts a file system")
def test_a_disk_that_fills_up_leaves_nothing_behind(tiny_checkpoint: Path, tmp_path: Path):
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        plan, checkpoint = planned(tiny_checkpoint)
        with pytest.raises(EnvironmentUnfit, match="not enough disk space"):
            build_bundle(tmp_path / "out", plan, checkpoint, RUNTIME)
        with pytest.raises(OSError, match="No space left"):
            build_bundle(tmp_path / "out", plan, checkpoint, WritesMoreThanItSaid())
        assert not list(tmp_path.iterdir())
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


class WritesMoreThanItSaid:
    """A double whose forecast is wrong, so that the disk fills up while it writes."""

    def built_bytes(self, plan: Plan, checkpoint: Checkpoint) -> int:
        return -(10**9)

    def build(
        self, plan: Plan, checkpoint: Checkpoint, model_folder: Path, progress: Progress
    ) -> str:
        return RUNTIME.build(plan, checkpoint, model_folder, progress)


def test_a_failing_build_leaves_the_old_bundle_and_nothing_else(
    bundle: Path, tiny_checkpoint: Path
):
    class Fails(WritesMoreThanItSaid):
        def build(self, *_: object) -> str:
            raise KeyboardInterrupt

    before = contents(bundle)
    plan, checkpoint = planned(tiny_checkpoint, slots=1)
    with pytest.raises(KeyboardInterrupt):
        build_bundle(bundle, plan, checkpoint, Fails(), force=True)
    assert contents(bundle) == before
    assert alone(bundle)


BUILD_SLOWLY = """
import sys
from pathlib import Path
from tests.deploy import test_bundle
plan, checkpoint = test_bundle.planned(Path(sys.argv[2]))
print("building", flush=True)
test_bundle.build_bundle(Path(sys.argv[1]), plan, checkpoint, test_bundle.SlowRuntime(60))
"""


def test_what_a_killed_build_left_is_removed_by_the_next(tiny_checkpoint: Path, tmp_path: Path):
    out = tmp_path / "out"
    with building(out, tiny_checkpoint) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    assert len(list(tmp_path.iterdir())) == 1, "the killed build left its folder"
    built(out, tiny_checkpoint)
    assert alone(out)
    verify_bundle(out)


def test_a_build_that_is_still_running_keeps_its_folder(tiny_checkpoint: Path, tmp_path: Path):
    out = tmp_path / "out"
    with building(out, tiny_checkpoint) as process:
        built(out, tiny_checkpoint)
        names = {path.name for path in tmp_path.iterdir()}
        assert len(names) == 2
        assert next(tmp_path.glob(".out.building-*/bundle/model/half")).exists()
        process.send_signal(signal.SIGINT)
        process.wait(10)
    assert alone(out), "a build that is interrupted cleans up by itself"


class building:  # noqa: N801 - reads as a statement
    """A build in a process of its own, in its middle."""

    def __init__(self, out: Path, checkpoint: Path) -> None:
        self._out = out
        self._process = subprocess.Popen(
            [sys.executable, "-c", BUILD_SLOWLY, str(out), str(checkpoint)],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> "subprocess.Popen[bytes]":
        deadline = time.monotonic() + 30
        while not list(self._out.parent.glob(".out.building-*/bundle/model/half")):
            assert self._process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return self._process

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


def test_a_build_killed_between_its_two_renames_gives_the_old_bundle_back(
    bundle: Path, tiny_checkpoint: Path
):
    leftover = bundle.parent / f".{bundle.name}.building-killed"
    leftover.mkdir()
    (leftover / "lock").touch()
    before = (bundle / "plan.json").stat().st_ino
    bundle.rename(leftover / "previous")
    built(bundle, tiny_checkpoint)
    assert alone(bundle)
    assert (bundle / "plan.json").stat().st_ino == before


def test_an_old_folder_without_a_lock_is_a_leftover_and_a_new_one_is_not(
    tiny_checkpoint: Path, tmp_path: Path
):
    old, new = tmp_path / ".out.building-old", tmp_path / ".out.building-new"
    for folder in (old, new):
        folder.mkdir()
    os.utime(old, (time.time() - 3600, time.time() - 3600))
    built(tmp_path / "out", tiny_checkpoint)
    assert not old.exists()
    assert new.exists()


def test_a_large_file_is_linked_and_a_small_one_is_copied(tmp_path: Path):
    source = tmp_path / "source"
    source.write_bytes(b"weights")
    source.chmod(0o600)
    placing.place_file(source, tmp_path / "a" / "linked", link_from_bytes=1)
    old_umask = os.umask(0o077)
    try:
        placing.place_file(source, tmp_path / "a" / "copied")
    finally:
        os.umask(old_umask)
    copied = (tmp_path / "a" / "copied").stat()
    assert copied.st_ino != source.stat().st_ino
    assert copied.st_mode & 0o777 == 0o644
    linked = (tmp_path / "a" / "linked").stat()
    assert linked.st_ino == source.stat().st_ino or linked.st_mode & 0o777 == 0o644  # or cloned
    assert (tmp_path / "a" / "linked").read_bytes() == b"weights"


def test_a_link_in_the_source_is_followed(tmp_path: Path):
    """A hub cache is a folder of links into a folder of blobs."""
    (tmp_path / "blob").write_bytes(b"weights")
    (tmp_path / "name.gguf").symlink_to("blob")
    for limit in (1, 1 << 20):
        target = tmp_path / str(limit)
        placing.place_file(tmp_path / "name.gguf", target, link_from_bytes=limit)
        assert not target.is_symlink()
        assert target.read_bytes() == b"weights"


def test_the_margin_covers_the_documents(whole: Path):
    documents = (whole / "plan.json").stat().st_size + (whole / "manifest.json").stat().st_size
    assert documents < MARGIN_BYTES


def test_progress_may_be_silent(bundle: Path):
    assert verify_bundle(bundle, SILENT).runtime == "llamacpp"
