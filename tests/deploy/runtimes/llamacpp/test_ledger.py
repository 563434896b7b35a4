"""The ledger against the server's own report of its buffers, and against itself."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.deploy.checkpoint import open_checkpoint
from trt_nemotron.deploy.checkpoint.ggml_types import GGML_TYPES_BY_NAME
from trt_nemotron.deploy.checkpoint.values import TensorGroup
from trt_nemotron.deploy.machine import detect_machine
from trt_nemotron.deploy.plan import LedgerLine
from trt_nemotron.deploy.runtimes.llamacpp.ledger import (
    ServerSizes,
    padded_context,
    server_lines,
    stored_groups,
)
from trt_nemotron.deploy.runtimes.llamacpp.log import reported_buffers
from trt_nemotron.deploy.shape import NemotronHShape
from trt_nemotron.facts.catalogue import load_release

RELEASE = load_release("llamacpp", "2026.10.11549")
COMPUTE_TOLERANCE = 0.15
SERVE = """
import json, os, sys, time, xllamacpp
wanted = json.loads(sys.argv[1])
p = xllamacpp.CommonParams()
p.model.path = wanted.pop("model")
p.n_gpu_layers, p.fit_params, p.ui, p.verbosity, p.port = 0, False, False, 4, 0
p.warmup = False
p.flash_attn_type = 1
p.cpuparams.n_threads = p.cpuparams_batch.n_threads = 1
for name, value in wanted.items():
    setattr(p, name, value)
server = xllamacpp.Server(p)  # kept: one destroyed just after its start may hang
time.sleep(0.5)  # the log is written by a thread of its own
os._exit(0)
"""
NARROW = {
    "hidden_size": 256,
    "intermediate_size": 512,
    "mamba_heads": 8,
    "mamba_head_dim": 48,
    "ssm_groups": 4,
    "ssm_state_size": 64,
    "conv_kernel": 3,
    "attention_heads": 6,
    "kv_heads": 3,
    "head_dim": 64,
    "vocab_size": 2048,
}


def server_log(model: Path, **wanted: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SERVE, json.dumps({"model": str(model), **wanted})],
        capture_output=True,
        text=True,
        errors="replace",
        check=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return done.stderr


def sizes_of(
    slots: int = 1,
    context: int = 4096,
    micro_batch: int = 512,
    kv: str = "F16",
    checkpoints: int = 0,
) -> ServerSizes:
    return ServerSizes(
        slots=slots,
        context_per_slot=padded_context(context),
        micro_batch_tokens=micro_batch,
        kv_storage=GGML_TYPES_BY_NAME[kv],
        state_checkpoints=checkpoints,
        prompt_cache_bytes=0,
    )


def compare(model: Path, sizes: ServerSizes, **wanted: object) -> None:
    """Exact up to what the server rounds away, the compute buffer within its tolerance."""
    checkpoint = open_checkpoint(model)
    architecture = detect_machine().architecture
    lines = {
        line.name: line.size_bytes
        for line in server_lines(checkpoint.shape, checkpoint.groups, sizes, architecture, RELEASE)
    }
    log = server_log(model, n_ctx=sizes.context_total, n_parallel=sizes.slots, **wanted)
    reported = {buffer.name: buffer for buffer in reported_buffers(log)}
    padding = 32 * sum(group.tensors for group in checkpoint.groups)  # between tensors in the file
    for name in ("kv_cache", "ssm_state", "conv_state", "output"):
        found = reported[name]
        assert abs(found.size_bytes - lines[name]) <= found.resolution_bytes + 1, name
    weights = reported["weights"]
    assert lines["weights"] - weights.resolution_bytes - 1 <= weights.size_bytes
    assert weights.size_bytes <= lines["weights"] + padding + weights.resolution_bytes + 1
    compute = reported["compute"].size_bytes
    assert compute <= lines["compute"] + reported["compute"].resolution_bytes
    assert lines["compute"] <= compute * (1 + COMPUTE_TOLERANCE) + (128 << 10)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["f32", "f16", "q8_0"])
@pytest.mark.parametrize(("slots", "context"), [(1, 4096), (4, 1000), (3, 300)])
def test_server_reports_what_the_ledger_says_of_the_tiny_shape(
    sparse: ModuleType, tmp_path: Path, precision: str, slots: int, context: int
):
    model = sparse.write_sparse_gguf(tmp_path / "m.gguf", sparse.TINY, precision)
    compare(model, sizes_of(slots, context))


@pytest.mark.slow
@pytest.mark.parametrize("kv", ["F16", "Q8_0"])
@pytest.mark.parametrize("micro_batch", [128, 512])
def test_server_reports_what_the_ledger_says_of_another_shape(
    sparse: ModuleType, tmp_path: Path, kv: str, micro_batch: int
):
    shape = msgspec.structs.replace(sparse.TINY, pattern="MM-*M*-*", **NARROW)
    model = sparse.write_sparse_gguf(tmp_path / "m.gguf", shape)
    number = GGML_TYPES_BY_NAME[kv].number
    compare(
        model,
        sizes_of(2, 2048, micro_batch, kv),
        n_ubatch=micro_batch,
        cache_type_k=number,
        cache_type_v=number,
    )


@pytest.mark.slow
@pytest.mark.parametrize(("slots", "context"), [(1, 8192), (4, 2048)])
def test_server_reports_what_the_ledger_says_of_the_real_widths(
    sparse: ModuleType, tmp_path: Path, slots: int, context: int
):
    """The 4B model's own widths, a quarter of its layers, a small vocabulary."""
    shape = msgspec.structs.replace(sparse.REAL_4B, pattern="M-M*M-", vocab_size=4096)
    model = sparse.write_sparse_gguf(tmp_path / "m.gguf", shape)
    compare(model, sizes_of(slots, context))


@pytest.mark.slow
def test_state_checkpoint_is_a_copy_of_a_slot_s_state(sparse: ModuleType, tmp_path: Path):
    """What the server says when it makes one, while it answers a real request."""
    model = sparse.write_sparse_gguf(tmp_path / "m.gguf", sparse.TINY)
    program = SERVE.replace(
        "server = xllamacpp.Server(p)",
        "server = xllamacpp.Server(p)\n"
        "import urllib.request\n"
        "body = json.dumps({'prompt': 'a' * 100, 'max_tokens': 2}).encode()\n"
        "head = {'Content-Type': 'application/json'}\n"
        "url = server.listening_address + '/v1/completions'\n"
        "urllib.request.urlopen(urllib.request.Request(url, body, head)).read()",
    )
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps({"model": str(model), "n_ctx": 512,
         "n_ctx_checkpoints": 1, "verbosity": 5})],
        capture_output=True, text=True, errors="replace", check=True, timeout=60,
    )  # fmt: skip
    found = re.findall(r"created context checkpoint 1 of 1 .*size = ([\d.]+) MiB", done.stderr)
    sizes = sizes_of(1, 512, checkpoints=1)
    checkpoint = open_checkpoint(model)
    lines = server_lines(checkpoint.shape, checkpoint.groups, sizes, "x86_64", RELEASE)
    (planned,) = (line for line in lines if line.name == "state_checkpoints")
    assert found
    assert float(found[0]) * (1 << 20) == pytest.approx(planned.size_bytes, abs=1100)


@given(
    slots=st.integers(1, 63),
    context=st.integers(1, 262144),
    kv=st.sampled_from(["F32", "F16", "Q8_0"]),
    checkpoints=st.integers(0, 31),
)
def test_more_of_anything_never_takes_less(
    sparse: ModuleType, slots: int, context: int, kv: str, checkpoints: int
):
    def total(**changes: int) -> int:
        wanted = {"slots": slots, "context": context, "checkpoints": checkpoints, **changes}
        lines = lines_of(sparse.REAL_4B, sizes_of(kv=kv, **wanted))
        return sum(line.size_bytes for line in lines)

    assert total(slots=slots + 1) > total()
    assert total(context=context + 256) > total()
    assert total(context=context + 1) >= total()
    assert total(checkpoints=checkpoints + 1) > total()


def lines_of(
    shape: NemotronHShape, sizes: ServerSizes, kind: str = "F16"
) -> tuple[LedgerLine, ...]:
    elements = shape.parameters
    size = GGML_TYPES_BY_NAME[kind].size_bytes(elements)
    group = TensorGroup(storage=kind, tensors=1, elements=elements, size_bytes=size)
    return server_lines(shape, (group,), sizes, "x86_64", RELEASE)


@given(st.integers(1, 1 << 20))
def test_context_is_padded_as_the_server_pads_it(tokens: int):
    assert padded_context(tokens) % 256 == 0
    assert tokens <= padded_context(tokens) < tokens + 256


def test_state_checkpoints_are_counted_for_every_slot(sparse: ModuleType):
    for slots, checkpoints in ((1, 1), (4, 1), (4, 3)):
        lines = lines_of(sparse.REAL_4B, sizes_of(slots, checkpoints=checkpoints))
        (line,) = (line for line in lines if line.name == "state_checkpoints")
        assert line.size_bytes == slots * checkpoints * (82_575_360 + 2 * 1_225_728)


def test_repacked_copies_are_counted_for_types_that_the_processor_repacks(sparse: ModuleType):
    names = [line.name for line in lines_of(sparse.REAL_4B, sizes_of())]
    assert "repacked_weights" not in names
    repacked = lines_of(sparse.REAL_4B, sizes_of(), kind="Q4_0")
    sizes = {line.name: line.size_bytes for line in repacked}
    assert sizes["repacked_weights"] == sizes["weights"]


def test_stored_groups_count_every_parameter_once(tiny_checkpoint: Path):
    checkpoint = open_checkpoint(tiny_checkpoint)
    for precision in ("f32", "f16", "bf16", "q8_0"):
        groups = stored_groups(checkpoint, precision)
        assert sum(group.elements for group in groups) == checkpoint.parameters
    assert stored_groups(checkpoint, None) == checkpoint.groups
