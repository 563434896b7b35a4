"""Checkpoints for the tests of `deploy`."""

from pathlib import Path
from types import ModuleType

import pytest

from tests.deploy import random_checkpoint, sparse_gguf


@pytest.fixture(scope="session")
def random_checkpoints() -> ModuleType:
    """The module `random_checkpoint`: `random_checkpoints.RandomCheckpoint(...).write(folder)`."""
    return random_checkpoint


@pytest.fixture(scope="session")
def tiny_checkpoint(
    random_checkpoints: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with a random checkpoint of seven tiny layers; not to be changed by a test."""
    folder: Path = random_checkpoints.RandomCheckpoint().write(tmp_path_factory.mktemp("tiny"))
    return folder


@pytest.fixture(scope="session")
def sparse() -> ModuleType:
    """The module `sparse_gguf`: `sparse.write_sparse_gguf(path, sparse.REAL_4B)`."""
    return sparse_gguf


@pytest.fixture(scope="session")
def real_4b_gguf(sparse: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GGUF with the real 4B's shape, vocabulary and number of merges; its weights are a hole."""
    path = tmp_path_factory.mktemp("real") / "real-4b-Q4_K.gguf"
    written: Path = sparse.write_sparse_gguf(path, sparse.REAL_4B, "Q4_K", merges=269443)
    return written
