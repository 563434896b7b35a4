"""Remembered hashes: they save time, and are dropped at the first doubt."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from trt_nemotron.deploy.bundle import placing
from trt_nemotron.deploy.bundle.hash_memory import LEAST_BYTES, HashMemory, memory_folder
from trt_nemotron.deploy.bundle.hashing import HashMeter
from trt_nemotron.deploy.bundle.placing import place_file
from trt_nemotron.progress import SILENT

SIZE = LEAST_BYTES + 12_345


class Reads:
    """Counts bytes that were hashed or counted as known."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def phase(self, text: str) -> None:
        pass

    def step(self, done: int, total: int, unit: str) -> None:
        self.steps.append(done)

    def note(self, text: str) -> None:
        pass


@pytest.fixture
def memory(tmp_path: Path) -> HashMemory:
    return HashMemory(tmp_path / "memory")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A large file that was changed long ago."""
    path = tmp_path / "weights"
    path.write_bytes(os.urandom(SIZE))
    return aged(path)


def aged(path: Path) -> Path:
    os.utime(path, ns=(10**18, 10**18))
    return path


def hashed(path: Path, memory: HashMemory | None) -> str:
    return HashMeter(SILENT, SIZE, memory).sha256(path)


def was_read(path: Path, memory: HashMemory) -> bool:
    """Whether hashing it takes more than one step, as reading it does."""
    reads = Reads()
    HashMeter(reads, SIZE, memory).sha256(path)
    assert reads.steps[-1] == path.stat().st_size
    return len(reads.steps) > 1


def test_a_finished_hash_is_not_computed_again(weights: Path, memory: HashMemory):
    expected = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert hashed(weights, memory) == expected
    assert not was_read(weights, memory)
    assert hashed(weights, memory) == expected
    assert was_read(weights, HashMemory(weights.parent / "other"))


def test_a_proof_reads_every_byte_and_remembers_it(weights: Path, memory: HashMemory):
    memory.remember(weights, "0" * 64, weights.stat())
    assert hashed(weights, memory) == "0" * 64
    proof = HashMeter(SILENT, SIZE, memory, is_proof=True).sha256(weights)
    assert proof == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert memory.recall(weights) == proof


def test_interrupted_hashing_goes_on_with_the_next_file(tmp_path: Path, memory: HashMemory):
    shards = [tmp_path / name for name in ("a", "b", "c")]
    for shard in shards:
        shard.write_bytes(os.urandom(SIZE))
        aged(shard)

    class Interrupting(Reads):
        def step(self, done: int, total: int, unit: str) -> None:
            if done > 1.5 * SIZE:
                raise KeyboardInterrupt

    meter = HashMeter(Interrupting(), 3 * SIZE, memory)
    meter.sha256(shards[0])
    with pytest.raises(KeyboardInterrupt):
        meter.sha256(shards[1])
    assert [was_read(shard, memory) for shard in shards] == [False, True, True]


def test_other_content_of_the_same_size_and_time_is_told_by_samples(
    weights: Path, memory: HashMemory
):
    hashed(weights, memory)
    with weights.open("r+b") as file:  # the same inode, as an archive unpacked over it
        file.write(os.urandom(SIZE))
    aged(weights)
    assert memory.recall(weights) is None
    assert hashed(weights, memory) == hashlib.sha256(weights.read_bytes()).hexdigest()


def test_a_changed_time_is_a_changed_file(weights: Path, memory: HashMemory):
    hashed(weights, memory)
    os.utime(weights, ns=(10**18, 10**18 + 1))
    assert memory.recall(weights) is None


def test_a_file_changed_a_moment_ago_is_not_remembered(weights: Path, memory: HashMemory):
    os.utime(weights)
    hashed(weights, memory)
    assert memory.recall(weights) is None
    HashMeter(SILENT, SIZE, memory).sha256(weights, is_own=True)
    assert memory.recall(weights) is not None


def test_a_file_that_changes_while_it_is_hashed_is_not_remembered(
    weights: Path, memory: HashMemory
):
    before = weights.stat()
    os.utime(weights, ns=(10**18, 10**18 + 5))
    memory.remember(weights, "0" * 64, before)
    assert memory.recall(weights) is None


def test_small_files_are_not_worth_remembering(tmp_path: Path, memory: HashMemory):
    small = tmp_path / "small"
    small.write_bytes(b"x")
    hashed(aged(small), memory)
    assert not (tmp_path / "memory").exists()


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff", b'{"schema": "other/1"}'])
def test_a_damaged_entry_is_as_none(weights: Path, memory: HashMemory, damage: bytes):
    hashed(weights, memory)
    next((weights.parent / "memory").iterdir()).write_bytes(damage)
    assert memory.recall(weights) is None
    assert hashed(weights, memory) == hashlib.sha256(weights.read_bytes()).hexdigest()


def test_an_entry_under_another_files_name_is_not_taken(tmp_path: Path, memory: HashMemory):
    one, other = tmp_path / "one", tmp_path / "other"
    for path in (one, other):
        path.write_bytes(os.urandom(SIZE))
        aged(path)
    hashed(one, memory)
    entry = next((tmp_path / "memory").iterdir())
    hashed(other, memory)
    for path in (tmp_path / "memory").iterdir():
        path.write_bytes(entry.read_bytes())
    assert memory.recall(other) is None


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path, weights: Path):
    (tmp_path / "file").write_text("")
    assert hashed(weights, HashMemory(tmp_path / "file" / "below"))


def test_old_entries_are_forgotten(weights: Path, memory: HashMemory, tmp_path: Path):
    stale = tmp_path / "memory" / "stale.json"
    stale.parent.mkdir()
    stale.write_text("{}")
    aged(stale)
    hashed(weights, memory)
    assert not stale.exists()
    assert memory.recall(weights)


def test_a_hard_link_is_the_file_that_was_hashed(weights: Path, memory: HashMemory):
    known = hashed(weights, memory)
    linked = weights.parent / "bundle" / "weights"
    place_file(weights, linked, link_from_bytes=1, memory=memory)
    assert linked.stat().st_ino == weights.stat().st_ino or memory.recall(linked)
    assert memory.recall(linked) == known


def test_a_copy_is_hashed_for_itself(weights: Path, memory: HashMemory):
    hashed(weights, memory)
    copied = weights.parent / "bundle" / "weights"
    place_file(weights, copied, memory=memory)
    assert memory.recall(copied) is None


@pytest.mark.parametrize("is_changed", [False, True])
def test_a_clone_takes_over_the_hash_of_a_source_that_is_as_it_was(
    weights: Path, memory: HashMemory, *, is_changed: bool
):
    """Made by copying: few file systems clone, and what counts is what happens after it."""
    known = hashed(weights, memory)
    clone = weights.parent / "clone"
    shutil.copyfile(weights, clone)
    if is_changed:
        os.utime(weights, ns=(10**18, 10**18 + 1))
    placing._carry_hash(weights, clone, memory)
    assert memory.recall(clone) == (None if is_changed else known)


def test_the_cache_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("TRT_NEMOTRON_CACHE_DIR", str(tmp_path))
    assert memory_folder() == tmp_path / "hashes"
    monkeypatch.delenv("TRT_NEMOTRON_CACHE_DIR")
    assert memory_folder().parts[-2:] == ("trt-nemotron", "hashes")
