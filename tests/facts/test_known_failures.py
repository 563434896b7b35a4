"""The real server is made to fail in each way that we claim to know, and its log is recognised."""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.sparse_gguf import TINY, write_sparse_gguf
from trt_nemotron.facts.catalogue import load_release

pytestmark = pytest.mark.slow

START = """
import json, os, resource, sys, time, xllamacpp
wanted = json.loads(sys.argv[1])
memory = wanted.pop("memory", 0)
p = xllamacpp.CommonParams()
p.model.path = wanted.pop("model")
p.n_gpu_layers, p.fit_params, p.ui, p.verbosity, p.port = 0, False, False, 4, 0
p.cpuparams.n_threads = p.cpuparams_batch.n_threads = 1
p.n_ctx, p.n_parallel = 512, 1
for name, value in wanted.items():
    setattr(p, name, value)
if memory:
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
try:
    server = xllamacpp.Server(p)
except RuntimeError:
    time.sleep(0.5)  # the log is written by a thread of its own, and has no flush
    os._exit(3)
os._exit(0)
"""

Damage = Callable[[bytes], bytes]


def explained(model: Path, **wanted: object) -> str:
    """The cause of the first line of the log that one of our patterns explains."""
    done = subprocess.run(
        [sys.executable, "-c", START, json.dumps({"model": str(model), **wanted})],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=60,
    )
    assert done.returncode != 0, "the server started"
    failures = load_release("llamacpp", "2026.10.11549").known_failures
    for line in done.stderr.splitlines():
        for failure in failures:
            if re.search(failure.pattern, line):
                return failure.cause
    return f"unexplained:\n{done.stderr[-2000:]}"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small GGUF that loads."""
    path = tmp_path_factory.mktemp("model") / "m.gguf"
    return write_sparse_gguf(path, TINY)


@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        (lambda data: data[: len(data) // 2], "cut short"),
        (lambda data: data[:600], "header"),
        (lambda _: b"", "not a GGUF"),
        (lambda _: b"{}" * 500, "not a GGUF"),
        (lambda data: data[:4] + b"\x01\0\0\0" + data[8:], "version 1"),
        (lambda data: data.replace(b"nemotron_h", b"nemotron_q"), "does not know the arch"),
        (lambda data: data.replace(b"blk.0.ssm_in.", b"blk.0.ssm_ix."), "lack a tensor"),
        (
            lambda data: data.replace(
                b"embedding_length\x04\0\0\0\x80", b"embedding_length\x04\0\0\0\x81"
            ),
            "different models",
        ),
        (
            lambda data: data.replace(b"\x05\0\0\0\0\0\0\0gpt-2", b"\x05\0\0\0\0\0\0\0gpt-q"),
            "tokenizer",
        ),
        (lambda data: data.replace(b"{% for m in", b"{% fox m in"), "chat template"),
    ],
)
def test_damaged_file_is_explained(model: Path, tmp_path: Path, damage: Damage, cause: str):
    original = model.read_bytes()
    damaged = damage(original)
    assert damaged != original
    path = tmp_path / "damaged.gguf"
    path.write_bytes(damaged)
    assert cause in explained(path)


def test_missing_file_is_explained(tmp_path: Path):
    assert "not where the bundle says" in explained(tmp_path / "nothing.gguf")


def test_taken_port_is_explained(model: Path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        assert "port is taken" in explained(model, port=other.getsockname()[1])


def test_too_many_slots_are_explained(model: Path):
    assert "More slots" in explained(model, n_parallel=300)


def test_quantized_cache_without_flash_attention_is_explained(model: Path):
    assert "quantized V cache" in explained(model, cache_type_v=8, flash_attn_type=0)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on memory is Linux's")
def test_lack_of_memory_is_explained(model: Path):
    said = explained(model, n_ctx=8_000_000, n_parallel=4, memory=3_000_000_000)
    assert "too little free memory" in said
