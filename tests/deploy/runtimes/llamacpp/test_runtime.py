"""The runtime as the rest uses it: build, load, serve; safetensors and GGUF checkpoints."""

import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from trt_nemotron.deploy.bundle.reader import read_bundle, verify_bundle
from trt_nemotron.deploy.bundle.writer import build_bundle
from trt_nemotron.deploy.checkpoint.opening import open_checkpoint
from trt_nemotron.deploy.machine import Machine
from trt_nemotron.deploy.planning import make_plan
from trt_nemotron.deploy.runtimes.catalogue import get_runtime, runtime_names
from trt_nemotron.deploy.runtimes.llamacpp.convert import convert
from trt_nemotron.deploy.runtimes.llamacpp.engine import Engine
from trt_nemotron.deploy.runtimes.llamacpp.load_check import check_loads
from trt_nemotron.deploy.runtimes.llamacpp.runtime import RUNTIME
from trt_nemotron.deploy.runtimes.llamacpp.settings import for_load_check, settings_of
from trt_nemotron.deploy.runtimes.protocol import Place, Wishes
from trt_nemotron.errors import CheckpointUnusable, InvalidInput
from trt_nemotron.progress import SILENT

LAPTOP = Machine(architecture="x86_64", cores=2, memory_total_bytes=8 << 30)


def test_runtimes_are_known_by_name():
    names = runtime_names()
    assert {"llamacpp", "transformers"} <= set(names)
    assert tuple(get_runtime(name).name for name in names) == names
    with pytest.raises(InvalidInput, match="llamacp") as caught:
        get_runtime("llamacp")
    assert "'llamacpp'" in caught.value.next_step


@pytest.mark.parametrize("precision", ["f32", "f16", "bf16", "q8_0"])
def test_a_bundle_of_each_precision_is_served(
    tiny_checkpoint: Path, tmp_path: Path, start_server: Any, precision: str
):
    bundle = tmp_path / "bundle"
    plan, checkpoint = make_plan(
        "cpu", "llamacpp", tiny_checkpoint, Wishes(precision=precision), LAPTOP
    )
    build_bundle(bundle, plan, checkpoint, RUNTIME)
    moved = bundle.rename(tmp_path / "moved")
    manifest, plan = read_bundle(moved)
    launch = RUNTIME.launch(moved, manifest, plan, Place(port=0))
    with start_server(launch.argv, tmp_path, **launch.environment) as server:
        assert server.complete("ab", 4)["tokens_predicted"] == 4
        reported = {it.name: it for it in RUNTIME.reported_buffers(server.log)}
    for name in ("weights", "kv_cache", "ssm_state", "conv_state"):
        planned = plan.ledger.line(name).size_bytes
        found = reported[name]
        assert abs(found.size_bytes - planned) <= 0.02 * planned + found.resolution_bytes, name


@pytest.fixture(scope="module")
def real_depth_gguf(
    random_checkpoints: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The published model's 42 layers and its proportions of heads, at a small width."""
    folder = tmp_path_factory.mktemp("deep")
    narrow = {
        "pattern": random_checkpoints.REAL_4B_PATTERN,
        "hidden_size": 64,
        "intermediate_size": 256,
        "vocab_size": 512,
        "num_attention_heads": 10,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "mamba_num_heads": 24,
        "mamba_head_dim": 8,
        "n_groups": 8,
        "ssm_state_size": 32,
        "chunk_size": 256,
        "max_position_embeddings": 262144,
    }
    checkpoint = random_checkpoints.RandomCheckpoint(overrides=narrow, stored="BF16")
    source = open_checkpoint(checkpoint.write(folder / "source"))
    target = folder / "Random-Nano-Q8_0.gguf"
    convert(source, target, name="Random-Nano", precision="q8_0", progress=SILENT)
    return target


def test_a_published_gguf_is_taken_as_it_is_and_served(
    real_depth_gguf: Path, tmp_path: Path, start_server: Any
):
    plan, checkpoint = make_plan(
        "cpu", "llamacpp", real_depth_gguf, Wishes(context_tokens=1024), LAPTOP
    )
    assert (plan.precision, plan.checkpoint.quantization) == ("as-is", "Q8_0")
    assert plan.checkpoint.shape.attention_layers == 4
    manifest = build_bundle(tmp_path / "bundle", plan, checkpoint, RUNTIME)
    assert manifest.model_path == "model/Random-Nano-Q8_0.gguf"
    copied = tmp_path / "bundle" / manifest.model_path
    assert copied.read_bytes() == real_depth_gguf.read_bytes()
    assert not copied.is_symlink()
    verify_bundle(tmp_path / "bundle")
    launch = RUNTIME.launch(tmp_path / "bundle", manifest, plan, Place(port=0))
    with start_server(launch.argv, tmp_path, **launch.environment) as server:
        answer = server.complete("hello", 1)
        assert answer["tokens_predicted"] == 1


def test_a_gguf_that_llama_cpp_does_not_load_is_refused_with_its_log(
    tiny_gguf: Path, tmp_path: Path
):
    """The header is whole, so only loading shows it: the tokenizer's cutting has no such name."""
    broken = tmp_path / "broken.gguf"
    data = tiny_gguf.read_bytes()
    assert data.count(b"gpt-2") == 1
    broken.write_bytes(data.replace(b"gpt-2", b"gpt-9"))
    plan, checkpoint = make_plan("cpu", "llamacpp", broken, Wishes(), LAPTOP)
    with pytest.raises(CheckpointUnusable, match="does not load") as caught:
        build_bundle(tmp_path / "b" / "bundle", plan, checkpoint, RUNTIME)
    assert "gpt-9" in caught.value.evidence
    assert not list((tmp_path / "b").iterdir())


def test_loading_that_takes_too_long_is_given_up(tiny_gguf: Path, tmp_path: Path):
    sleeper = Engine(program=_program(tmp_path / "sleeper", "sleep 60"))
    plan, _ = make_plan("cpu", "llamacpp", tiny_gguf, Wishes(), LAPTOP)
    settings = for_load_check(settings_of(plan, str(tiny_gguf), 0))
    with pytest.raises(CheckpointUnusable, match="takes too long"):
        check_loads(sleeper.argv(settings), tmp_path / "log", timeout_s=0.5)
    assert not (tmp_path / "log").exists()


def test_a_server_that_ends_at_once_is_not_a_load(tiny_gguf: Path, tmp_path: Path):
    quitter = Engine(program=_program(tmp_path / "quitter", "echo no luck >&2; exit 0"))
    plan, _ = make_plan("cpu", "llamacpp", tiny_gguf, Wishes(), LAPTOP)
    settings = for_load_check(settings_of(plan, str(tiny_gguf), 0))
    with pytest.raises(CheckpointUnusable, match="does not load") as caught:
        check_loads(quitter.argv(settings), tmp_path / "log", timeout_s=5)
    assert "no luck" in caught.value.evidence


def test_a_server_that_listens_but_does_not_answer_is_not_a_load(tiny_gguf: Path, tmp_path: Path):
    script = "echo listening on http://127.0.0.1:9 >&2; sleep 9"
    liar = Engine(program=_program(tmp_path / "liar", script))
    plan, _ = make_plan("cpu", "llamacpp", tiny_gguf, Wishes(), LAPTOP)
    settings = for_load_check(settings_of(plan, str(tiny_gguf), 0))
    with pytest.raises(CheckpointUnusable, match="gives no token"):
        check_loads(liar.argv(settings), tmp_path / "log", timeout_s=5)


@pytest.mark.parametrize(
    ("status", "answer"),
    [(200, {"tokens_predicted": 0}), (200, {}), (500, {"tokens_predicted": 1})],
)
def test_an_answer_without_a_token_is_not_a_load(
    tiny_gguf: Path, tmp_path: Path, status: int, answer: dict[str, int]
):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http_server:
        thread = threading.Thread(target=http_server.serve_forever)
        thread.start()
        script = f"echo listening on http://127.0.0.1:{http_server.server_port} >&2; sleep 9"
        double = Engine(program=_program(tmp_path / "double", script))
        plan, _ = make_plan("cpu", "llamacpp", tiny_gguf, Wishes(), LAPTOP)
        settings = for_load_check(settings_of(plan, str(tiny_gguf), 0))
        try:
            with pytest.raises(CheckpointUnusable, match="gives no token"):
                check_loads(double.argv(settings), tmp_path / "log", timeout_s=5)
        finally:
            http_server.shutdown()
            thread.join()


def _program(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    assert shutil.which(str(path))
    return str(path)
