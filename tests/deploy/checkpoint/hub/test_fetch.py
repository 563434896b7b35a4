"""Fetching from a hub: the real library against a double of the hub's own servers."""

import os
import shutil
from pathlib import Path
from types import ModuleType

import pytest
from filelock import FileLock

from tests.deploy.checkpoint.hub.hub_double import COMMIT, REPOSITORY, TOKEN, HubDouble
from trt_nemotron.deploy.bundle.hash_memory import HashMemory
from trt_nemotron.deploy.checkpoint import open_checkpoint
from trt_nemotron.deploy.checkpoint.hub import fetch as fetching
from trt_nemotron.deploy.checkpoint.hub.cache import RepositoryCache
from trt_nemotron.deploy.checkpoint.hub.client import HuggingFaceHub, read_token
from trt_nemotron.deploy.checkpoint.hub.download import have_bytes
from trt_nemotron.deploy.checkpoint.hub.fetch import fetch, foresee, verify_cached
from trt_nemotron.deploy.checkpoint.hub.listing import HubFile
from trt_nemotron.deploy.checkpoint.hub.reference import HubReference
from trt_nemotron.deploy.checkpoint.hub.source_lock import SourceLock
from trt_nemotron.document import read_document
from trt_nemotron.errors import CheckpointUnusable, EnvironmentUnfit, InvalidInput

SHARD = "model-00002-of-00003.safetensors"


class Told:
    """Keeps what a fetch says."""

    def __init__(self) -> None:
        self.phases: list[str] = []
        self.steps: list[tuple[int, int]] = []
        self.notes: list[str] = []

    def phase(self, text: str) -> None:
        self.phases.append(text)

    def step(self, done: int, total: int, unit: str) -> None:
        assert unit == "B"
        assert 0 <= done <= total
        self.steps.append((done, total))

    def note(self, text: str) -> None:
        self.notes.append(text)


def client(double: HubDouble, token: str | None = None) -> HuggingFaceHub:
    return HuggingFaceHub(token, endpoint=double.endpoint)


def started(double: HubDouble, cache: RepositoryCache, memory: HashMemory, keep: int) -> None:
    """A fetch that ends with part of SHARD on the disk."""
    cache.partial("").parent.mkdir(parents=True)
    hub_id = next(it.hub_id for it in client(double).list_files(cache.reference)[1]
                  if it.name == SHARD)  # fmt: skip
    cache.partial(hub_id).write_bytes(double.files[SHARD][:keep])


def test_a_snapshot_is_fetched_verified_and_opened(
    hub: HubDouble, cache: RepositoryCache, memory: HashMemory, sharded_checkpoint: Path
):
    told = Told()
    lock = fetch(client(hub), cache, memory, told)
    assert read_document(cache.lock_path, SourceLock) == lock
    assert (lock.repository, lock.revision) == (REPOSITORY, COMMIT)
    assert {it.name for it in lock.files} == {path.name for path in sharded_checkpoint.iterdir()}
    origins = {it.name: it.origin for it in lock.files}
    assert (origins[SHARD], origins["config.json"]) == ("hub-lfs", "hub-git")
    checkpoint = open_checkpoint(cache.snapshot)
    assert (checkpoint.name, checkpoint.revision) == ("tiny-hybrid", COMMIT)
    assert {it.name: it.sha256 for it in checkpoint.files} == {
        it.name: it.sha256 for it in lock.files
    }
    assert told.steps[-1][0] == told.steps[-1][1]


def test_only_what_a_checkpoint_needs_is_asked_for(
    hub: HubDouble, cache: RepositoryCache, memory: HashMemory
):
    fetch(client(hub), cache, memory)
    assert not hub.sent_files() & {"pytorch_model.bin", "modeling_nemotron_h.py", "README.md"}
    contents = [it for it in hub.seen if "/resolve/" in it.path or it.is_store]
    assert {it.headers["accept-encoding"] for it in contents} == {"identity"}


def test_the_next_fetch_asks_for_the_list_only(
    hub: HubDouble, cache: RepositoryCache, memory: HashMemory
):
    fetch(client(hub), cache, memory)
    hub.seen.clear()
    assert foresee(client(hub), cache).to_fetch_bytes == 0
    fetch(client(hub), cache, memory)
    assert not hub.sent_files()


def test_another_programs_snapshot_in_the_cache_is_taken_over(
    hub: HubDouble, cache: RepositoryCache, memory: HashMemory, monkeypatch: pytest.MonkeyPatch
):
    from huggingface_hub import snapshot_download

    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    for name in ("config.json", SHARD):
        snapshot_or_file(hub, cache, name)
    hub.seen.clear()
    fetch(client(hub), cache, memory)
    assert SHARD not in hub.sent_files()
    again = snapshot_download(
        REPOSITORY, revision=COMMIT, cache_dir=cache.root, endpoint=hub.endpoint,
        allow_patterns=["*.safetensors"], local_files_only=True,
    )  # fmt: skip
    assert Path(again) == cache.snapshot


def snapshot_or_file(hub: HubDouble, cache: RepositoryCache, name: str) -> None:
    from huggingface_hub import hf_hub_download

    hf_hub_download(REPOSITORY, name, revision=COMMIT, cache_dir=cache.root, endpoint=hub.endpoint)


def test_a_cut_connection_is_taken_up_where_it_ended(
    hub: HubDouble, cache: RepositoryCache, memory: HashMemory
):
    hub.cut_after, hub.cuts = {SHARD: 20_000}, 1
    told = Told()
    fetch(client(hub), cache, memory, told)
    asked = [it for it in hub.contents_asked(SHARD) if it.is_store]
    assert [it.headers.get("range") for it in asked] == [None, "bytes=20000-"]
    assert told.steps[-1][0] == told.steps[-1][1]


def test_what_an_earlier_run_left_is_not_fetched_again(
    hub: HubDouble, cache: RepositoryCache, memory: HashMemory
):
    started(hub, cache, memory, keep=12_345)
    told = Told()
    assert (
        foresee(client(hub), cache).to_fetch_bytes
        == sum(it.size_bytes for it in foresee(client(hub), cache).files) - 12_345
    )
    fetch(client(hub), cache, memory, told)
    asked = [it for it in hub.contents_asked(SHARD) if it.is_store]
    assert [it.headers.get("range") for it in asked] == ["bytes=12345-"]
    assert f"going on with {SHARD}" in told.phases
    assert told.steps[0][0] >= 12_345


def test_what_lies_here_beyond_a_files_end_is_not_counted(
    hub: HubDouble, cache: RepositoryCache, memory: HashMemory
):
    """Else more would be done than there is to do; `Told` holds every step against it."""
    size_bytes = len(hub.files[SHARD])
    started(hub, cache, memory, size_bytes)
    hub_id = next(cache.partial("").parent.glob("*.incomplete")).name.removesuffix(".incomplete")
    cache.partial(hub_id).write_bytes(hub.files[SHARD] + b"more")
    file = HubFile(name=SHARD, size_bytes=size_bytes, hub_id=hub_id, is_lfs=True)
    assert have_bytes(cache, file) == size_bytes


def test_a_store_that_knows_no_ranges_sends_all_of_it(
    hub: HubDouble, cache: RepositoryCache, memory: HashMemory
):
    started(hub, cache, memory, keep=12_345)
    hub.ignores_ranges = True
    fetch(client(hub), cache, memory, Told())
    assert (cache.snapshot / SHARD).read_bytes() == hub.files[SHARD]


def test_a_foreign_beginning_is_noticed_and_fetched_anew(
    hub: HubDouble, cache: RepositoryCache, memory: HashMemory
):
    started(hub, cache, memory, keep=5_000)
    partial = next(cache.partial("").parent.glob("*.incomplete"))
    partial.write_bytes(b"x" * 5_000)
    told = Told()
    fetch(client(hub), cache, memory, told)
    assert (cache.snapshot / SHARD).read_bytes() == hub.files[SHARD]
    assert "did not fit" in told.notes[0]


@pytest.mark.parametrize("name", [SHARD, "config.json"])
def test_wrong_bytes_never_get_a_name(
    hub: HubDouble, cache: RepositoryCache, memory: HashMemory, name: str
):
    data = bytearray(hub.files[name])
    data[len(data) // 2] ^= 1
    hub.instead = {name: bytes(data)}
    with pytest.raises(CheckpointUnusable, match=f"{name} arrived damaged"):
        fetch(client(hub), cache, memory)
    assert not cache.lock_path.exists()
    assert not (cache.snapshot / name).exists()
    assert not list(cache.folder.rglob("*.incomplete"))
    hub.instead = {}
    fetch(client(hub), cache, memory)


def test_whoever_waits_for_another_fetch_says_so(
    hub: HubDouble, cache: RepositoryCache, memory: HashMemory
):
    files = foresee(client(hub), cache).files
    guard = cache.guard(next(it.hub_id for it in files if it.name == SHARD))
    guard.parent.mkdir(parents=True)
    other = FileLock(guard)

    class Releasing(Told):
        def phase(self, text: str) -> None:
            super().phase(text)
            if text.startswith("waiting"):
                other.release()

    told = Releasing()
    with other:
        fetch(client(hub), cache, memory, told)
    assert f"waiting for another program that fetches {SHARD}" in told.phases


def test_a_hub_that_falls_silent_leaves_what_came(
    hub: HubDouble, cache: RepositoryCache, memory: HashMemory, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    hub.cut_after = {SHARD: 20_000}
    with pytest.raises(EnvironmentUnfit, match="cannot reach the hub"):
        fetch(client(hub), cache, memory)
    left = next(cache.partial("").parent.glob("*.incomplete"))
    assert left.read_bytes() == hub.files[SHARD][:20_000]
    hub.cut_after = {}
    fetch(client(hub), cache, memory)


def test_a_damaged_blob_on_this_disk_is_fetched_again(
    hub: HubDouble, cache: RepositoryCache, memory: HashMemory
):
    fetch(client(hub), cache, memory)
    damage(cache, SHARD)
    told = Told()
    fetch(client(hub), cache, memory, told)
    assert (cache.snapshot / SHARD).read_bytes() == hub.files[SHARD]
    assert "damaged on this disk" in told.notes[0]


def damage(cache: RepositoryCache, name: str) -> None:
    blob = (cache.snapshot / name).resolve()
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.write_bytes(data)


class TestOffline:
    def test_an_empty_cache_names_the_command_that_fills_it(
        self, cache: RepositoryCache, memory: HashMemory
    ):
        with pytest.raises(CheckpointUnusable, match="is not in the cache") as caught:
            verify_cached(cache, memory)
        assert f"trt-nemotron fetch hub:{REPOSITORY}@{COMMIT}" in caught.value.next_step

    def test_a_snapshot_of_another_program_is_verified_by_its_names(
        self, hub: HubDouble, cache: RepositoryCache, memory: HashMemory
    ):
        for name in hub.files:
            snapshot_or_file(hub, cache, name)
        hub.seen.clear()
        lock = verify_cached(cache, memory)
        assert not hub.seen
        assert {it.origin for it in lock.files} == {"cache-etag"}
        assert "modeling_nemotron_h.py" not in {it.name for it in lock.files}

    def test_what_the_hub_itself_said_stays_on_record(
        self, hub: HubDouble, cache: RepositoryCache, memory: HashMemory
    ):
        assert fetch(client(hub), cache, memory) == verify_cached(cache, memory)

    def test_damage_is_found_and_nothing_is_vouched_for(
        self, hub: HubDouble, cache: RepositoryCache, memory: HashMemory
    ):
        fetch(client(hub), cache, memory)
        damage(cache, SHARD)
        with pytest.raises(CheckpointUnusable, match=f"{SHARD} in the cache is damaged"):
            verify_cached(cache, memory)

    def test_a_file_that_is_no_link_cannot_be_verified(
        self, hub: HubDouble, cache: RepositoryCache, memory: HashMemory
    ):
        fetch(client(hub), cache, memory)
        (cache.snapshot / SHARD).unlink()
        (cache.snapshot / SHARD).write_bytes(hub.files[SHARD])
        with pytest.raises(CheckpointUnusable, match="cannot be verified"):
            verify_cached(cache, memory)

    def test_half_a_snapshot_is_refused(
        self, hub: HubDouble, cache: RepositoryCache, memory: HashMemory
    ):
        fetch(client(hub), cache, memory)
        (cache.snapshot / SHARD).unlink()
        with pytest.raises(CheckpointUnusable, match=f"lacks {SHARD}"):
            verify_cached(cache, memory)
        assert not cache.lock_path.exists()


class TestRefusals:
    def test_gated_without_a_token(
        self, hub: HubDouble, cache: RepositoryCache, memory: HashMemory
    ):
        hub.is_gated = True
        with pytest.raises(EnvironmentUnfit, match="is gated") as caught:
            fetch(client(hub), cache, memory)
        assert "without a token" in caught.value.evidence
        assert "HF_TOKEN" in caught.value.next_step

    def test_gated_with_a_token_that_is_not_let_in(
        self, hub: HubDouble, cache: RepositoryCache, memory: HashMemory
    ):
        hub.is_gated = True
        with pytest.raises(EnvironmentUnfit, match="is gated") as caught:
            fetch(client(hub, TOKEN), cache, memory)
        assert "token in HF_TOKEN" in caught.value.evidence
        assert TOKEN not in str(caught.value)

    def test_a_wrong_token(self, hub: HubDouble, cache: RepositoryCache, memory: HashMemory):
        with pytest.raises(EnvironmentUnfit, match="does not accept the token in MINE") as caught:
            fetch(
                HuggingFaceHub("hf_wrong", token_variable="MINE", endpoint=hub.endpoint),
                cache,
                memory,
            )
        assert "hf_wrong" not in str(caught.value)

    @pytest.mark.parametrize("token", [None, TOKEN])
    def test_an_unknown_repository(
        self, hub: HubDouble, tmp_path: Path, memory: HashMemory, token: str | None
    ):
        cache = RepositoryCache(tmp_path, HubReference("maker/other", COMMIT))
        expected = InvalidInput if token is None else (InvalidInput, EnvironmentUnfit)
        with pytest.raises(expected, match="maker/other"):
            fetch(client(hub, token), cache, memory)

    def test_a_private_one_opens_to_its_token_which_the_store_never_sees(
        self, hub: HubDouble, cache: RepositoryCache, memory: HashMemory
    ):
        hub.is_private = True
        with pytest.raises(InvalidInput, match="or keeps it private"):
            fetch(client(hub), cache, memory)
        fetch(client(hub, TOKEN), cache, memory)
        assert all("authorization" not in it.headers for it in hub.seen if it.is_store)

    def test_an_unknown_commit(self, hub: HubDouble, tmp_path: Path, memory: HashMemory):
        cache = RepositoryCache(tmp_path, HubReference(REPOSITORY, "f" * 40))
        with pytest.raises(InvalidInput, match="has no commit ffff"):
            fetch(client(hub), cache, memory)

    def test_a_renamed_repository_is_fetched_and_told(
        self, hub: HubDouble, tmp_path: Path, memory: HashMemory
    ):
        hub.renamed_from = "maker/old-name"
        cache = RepositoryCache(tmp_path / "c", HubReference("maker/old-name", COMMIT))
        told = Told()
        fetch(client(hub), cache, memory, told)
        assert told.notes == [f"maker/old-name is now called {REPOSITORY}"]
        assert open_checkpoint(cache.snapshot).name == "old-name"

    @pytest.mark.parametrize(
        "answer", [b"<html>Log in", b"[]", b"[" * 10**5, b"{}", b'{"id": "a", "sha": "b"}']
    )
    def test_an_answer_of_something_else_than_a_hub(
        self, hub: HubDouble, cache: RepositoryCache, memory: HashMemory, answer: bytes
    ):
        hub.listing = answer
        with pytest.raises(EnvironmentUnfit, match="hub"):
            fetch(client(hub), cache, memory)

    def test_nobody_there(self, cache: RepositoryCache, memory: HashMemory):
        with pytest.raises(EnvironmentUnfit, match="cannot reach the hub"):
            fetch(HuggingFaceHub(endpoint="http://127.0.0.1:9"), cache, memory)

    def test_too_little_disk_is_said_before_anything_comes(
        self,
        hub: HubDouble,
        cache: RepositoryCache,
        memory: HashMemory,
        monkeypatch: pytest.MonkeyPatch,
    ):
        monkeypatch.setattr(fetching, "_free_bytes", lambda _: 1000)
        with pytest.raises(EnvironmentUnfit, match="not enough disk space") as caught:
            fetch(client(hub), cache, memory)
        assert "1000 are available" in caught.value.evidence
        assert not cache.root.exists()
        assert not hub.sent_files()

    def test_what_arrives_whole_and_is_no_checkpoint_gets_no_lock(
        self, hub: HubDouble, cache: RepositoryCache, memory: HashMemory
    ):
        config = hub.files["config.json"]
        hub.files["config.json"] = config.replace(b"nemotron_h", b"llama")
        with pytest.raises(CheckpointUnusable):
            fetch(client(hub), cache, memory)
        assert not cache.lock_path.exists()


class TestToken:
    def test_it_is_read_by_name(self):
        assert read_token("MINE", {"MINE": " hf_x\n", "HF_TOKEN": "hf_y"}) == "hf_x"
        assert read_token(None, {"HF_TOKEN": "hf_y"}) == "hf_y"
        assert read_token(None, {}) is None

    def test_a_name_without_a_value_is_a_mistake(self):
        with pytest.raises(InvalidInput, match="MINE is not set"):
            read_token("MINE", {"HF_TOKEN": "hf_y"})

    @pytest.mark.parametrize("value", ["hf_a\nb", "hf a", "hf_\x00", "hf_ä"])
    def test_what_cannot_be_a_header_is_refused_unseen(self, value: str):
        with pytest.raises(InvalidInput) as caught:
            read_token(None, {"HF_TOKEN": value})
        assert value not in str(caught.value)

    def test_it_does_not_cross_the_network_in_the_clear(self):
        with pytest.raises(InvalidInput, match="unencrypted"):
            HuggingFaceHub("hf_x", endpoint="http://hub.example")
        HuggingFaceHub(None, endpoint="http://hub.example")

    @pytest.mark.parametrize("endpoint", ["hub.example", "ftp://x", "http://"])
    def test_an_endpoint_is_an_address(self, endpoint: str):
        with pytest.raises(InvalidInput, match="no address of a hub"):
            HuggingFaceHub(endpoint=endpoint)


def test_a_lock_travels_with_a_copy_of_the_snapshot_and_finds_a_foreign_shard(
    hub: HubDouble,
    cache: RepositoryCache,
    memory: HashMemory,
    tmp_path: Path,
    random_checkpoints: ModuleType,
):
    fetch(client(hub), cache, memory)
    copy = tmp_path / "copy"
    shutil.copytree(cache.snapshot, copy)
    shutil.copy(cache.lock_path, copy)
    assert all(it.sha256 for it in open_checkpoint(copy).files)
    os.truncate(copy / SHARD, 1000)
    with pytest.raises(CheckpointUnusable, match=f"{SHARD} was cut or changed"):
        open_checkpoint(copy)
    (copy / SHARD).unlink()
    with pytest.raises(CheckpointUnusable, match=f"lacks {SHARD}"):
        open_checkpoint(copy)
