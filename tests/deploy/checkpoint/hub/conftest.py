"""A hub to fetch from, and what it holds."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.deploy.checkpoint.hub import hub_double
from trt_nemotron.deploy.bundle.hash_memory import HashMemory
from trt_nemotron.deploy.checkpoint.hub.cache import RepositoryCache
from trt_nemotron.deploy.checkpoint.hub.reference import HubReference

# Read once, when the library is imported; it would ask the real hub who uses it.
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


@pytest.fixture(scope="session")
def sharded_checkpoint(
    random_checkpoints: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with a random checkpoint in three shards; not to be changed by a test."""
    make = random_checkpoints.RandomCheckpoint(stored="BF16", shards=3)
    folder: Path = make.write(tmp_path_factory.mktemp("sharded"))
    return folder


@pytest.fixture
def hub(
    sharded_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[hub_double.HubDouble]:
    """The double, holding the checkpoint and what no checkpoint needs; nobody asks it oddly.

    The library hands on 10 MiB at a time, more than these files have: here it is 1000 bytes.
    """
    from huggingface_hub.utils import close_session

    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
    with hub_double.running_double() as double:
        double.hold(
            sharded_checkpoint,
            ("pytorch_model.bin", b"a pickle"),
            ("modeling_nemotron_h.py", b"import os"),
            ("README.md", b"# A model"),
        )
        yield double
        close_session()
    assert not double.strays


@pytest.fixture
def cache(tmp_path: Path) -> RepositoryCache:
    """The repository's place in an empty cache."""
    reference = HubReference(hub_double.REPOSITORY, hub_double.COMMIT)
    return RepositoryCache(tmp_path / "cache", reference)


@pytest.fixture
def memory(tmp_path: Path) -> HashMemory:
    """A memory of the test's own."""
    return HashMemory(tmp_path / "memory")
