"""GGUF files and servers for the tests of the runtime `llamacpp`."""

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.runtimes.llamacpp import server_process
from trt_nemotron.deploy.checkpoint.opening import open_checkpoint
from trt_nemotron.deploy.runtimes.llamacpp.convert import convert
from trt_nemotron.progress import SILENT


@pytest.fixture(scope="session")
def tiny_gguf(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoint in f16; not to be changed by a test."""
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    checkpoint = open_checkpoint(tiny_checkpoint)
    convert(checkpoint, path, name="tiny", precision="f16", progress=SILENT)
    return path


@pytest.fixture(scope="session")
def start_server() -> Any:
    """`with start_server(argv, folder) as server`: a process, ended with the block."""
    return server_process.started


@pytest.fixture
def llama_server_on_path(tmp_path: Path) -> Path:
    """A folder to put on PATH: it holds a program `llama-server`, which is a double."""
    double = Path(__file__).with_name("llama_server_double.py")
    program = tmp_path / "bin" / "llama-server"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {double} "$@"\n')
    program.chmod(0o755)
    return program.parent
