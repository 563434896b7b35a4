"""Large weights from the hub's cache into a bundle: linked, hashed once, and independent."""

import json
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from trt_nemotron.deploy.bundle.hash_memory import HashMemory
from trt_nemotron.deploy.bundle.hashing import HashMeter
from trt_nemotron.deploy.bundle.placing import LINK_FROM_BYTES
from trt_nemotron.deploy.bundle.reader import verify_bundle
from trt_nemotron.deploy.bundle.writer import build_bundle
from trt_nemotron.deploy.checkpoint.hub.cache import RepositoryCache
from trt_nemotron.deploy.checkpoint.hub.download import git_id
from trt_nemotron.deploy.checkpoint.hub.fetch import verify_cached
from trt_nemotron.deploy.checkpoint.hub.reference import HubReference
from trt_nemotron.deploy.machine import Machine
from trt_nemotron.deploy.planning import make_plan
from trt_nemotron.deploy.runtimes.catalogue import get_runtime
from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.progress import SILENT

VOCABULARY = 2_200_000
MACHINE = Machine(architecture="x86_64", cores=2, memory_total_bytes=8 << 30)


class HashedBytes:
    """Counts what is said to be hashed, phase by phase, and in how many steps."""

    def __init__(self) -> None:
        self.steps: dict[str, int] = {}
        self._phase = ""

    def phase(self, text: str) -> None:
        self._phase = text

    def step(self, done: int, total: int, unit: str) -> None:
        self.steps[self._phase] = self.steps.get(self._phase, 0) + 1

    def note(self, text: str) -> None:
        pass


def write_sparse_checkpoint(random_checkpoints: ModuleType, folder: Path) -> Path:
    """A whole checkpoint whose one weight file is large and, but for its header, a hole."""
    small = random_checkpoints.RandomCheckpoint({"vocab_size": 2000}, stored="BF16")
    small.write(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": VOCABULARY}))
    header, end = {}, 0
    for name, tensor in small.tensors().items():
        shape = [VOCABULARY if size == 2000 else size for size in tensor.shape]
        begin, end = end, end + 2 * shape[0] * (tensor[0].size if len(shape) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
    return folder


@pytest.fixture
def cache(random_checkpoints: ModuleType, tmp_path: Path) -> RepositoryCache:
    """A hub's cache as its own library leaves it: a snapshot of links into blobs."""
    cache = RepositoryCache(tmp_path / "hub", HubReference("maker/large", "b" * 40))
    folder = write_sparse_checkpoint(random_checkpoints, tmp_path / "plain")
    cache.blob("x").parent.mkdir(parents=True)
    cache.snapshot.mkdir(parents=True)
    for path in folder.iterdir():
        is_large = path.suffix == ".safetensors"
        hub_id = HashMeter(SILENT, 1).sha256(path) if is_large else git_id(path)
        path.rename(cache.blob(hub_id))
        (cache.snapshot / path.name).symlink_to(f"../../blobs/{hub_id}")
    return cache


@pytest.mark.slow
def test_weights_are_linked_from_the_hubs_cache_and_hashed_once(
    cache: RepositoryCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TRT_NEMOTRON_CACHE_DIR", str(tmp_path / "user"))
    weights = (cache.snapshot / "model.safetensors").resolve()
    assert weights.stat().st_size > LINK_FROM_BYTES
    shutil.copystat(Path(__file__), weights)  # written long ago
    verify_cached(cache, HashMemory())
    plan, checkpoint = make_plan("h100-sxm", "trtllm", cache.snapshot, Wishes(), MACHINE)
    hashed = HashedBytes()
    out = tmp_path / "bundle"
    build_bundle(out, plan, checkpoint, get_runtime("trtllm"), hashed)
    placed = out / "model" / plan.served_model_name / "model.safetensors"
    assert not placed.is_symlink()
    linked, source = placed.stat(), weights.stat()
    assert linked.st_ino == source.st_ino or linked.st_blocks <= source.st_blocks  # or cloned
    blocks = weights.stat().st_size // 2**20
    assert hashed.steps["hashing the checkpoint"] < blocks
    assert hashed.steps["hashing the bundle"] < blocks
    proof = HashedBytes()
    shutil.rmtree(cache.root)
    verify_bundle(out, proof)
    assert proof.steps["hashing the bundle"] >= blocks
