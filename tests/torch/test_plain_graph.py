"""The plain graph executed with ONNX Runtime, against Transformers, token by token."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.deploy import random_checkpoint
from tests.deploy.compile import executing
from tests.torch import record_logits
from trt_nemotron.deploy.checkpoint.embedded import embedded_checkpoint_path
from trt_nemotron.deploy.compile.compiling import CompileWishes, plan_compile
from trt_nemotron.deploy.compile.elements import Precision
from trt_nemotron.deploy.compile.graph import GRAPH_NAME, ensure_graph
from trt_nemotron.deploy.compile.weights import open_weights
from trt_nemotron.progress import SILENT

pytestmark = pytest.mark.torch

CHUNK = 128
STEPS = 64
LENGTHS = (1, 64, 65, 300)
SHAPES: list[dict[str, Any]] = [
    {},
    {"n_groups": 1},
    {"n_groups": 8},
    {"ssm_state_size": 128, "mamba_head_dim": 80, "mamba_num_heads": 8},
    {"pattern": "M*"},
    {"pattern": "*-MM-*"},
    {"head_dim": 128, "num_attention_heads": 5, "num_key_value_heads": 1},
    {"conv_kernel": 2},
]


@pytest.fixture(autouse=True, scope="module")
def onnx_runtime() -> None:
    pytest.importorskip("onnxruntime", reason="the graph is executed with ONNX Runtime")


def executed(source: Path, folder: Path, precision: Precision, *, is_exact: bool = False) -> Any:
    wishes = CompileWishes(checkpoint=source, precision=precision, max_seq_len=512, chunk=CHUNK)
    plan, checkpoint = plan_compile(wishes)
    with open_weights(checkpoint, SILENT) as weights:
        ensure_graph(folder / "graph", plan.spec, weights, SILENT)
    model = executing.load(folder / "graph" / GRAPH_NAME)
    if precision == "bf16":
        model = executing.rounding_to_bf16(model)
    return executing.Executed(executing.summing_in_double(model) if is_exact else model)


def largest_difference(model: Any, graph: Any, prompt: list[int]) -> float:
    """Over the prompt and 64 steps; the token that leads must be the same at every one."""
    expected = np.stack(list(record_logits.follow(model, prompt, STEPS)))
    tokens = expected.argmax(-1)
    found = np.stack(list(graph.follow(prompt, list(tokens[:-1]), CHUNK)))
    assert (found.argmax(-1) == tokens).all(), len(prompt)
    return float(np.abs(found - expected).max())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_random_networks_agree_in_fp32(tmp_path: Path, shape: dict[str, Any]):
    """Nothing rewritten: f32 in ONNX Runtime's order against f32 in torch's."""
    source = random_checkpoint.RandomCheckpoint(overrides=shape).write(tmp_path / "source")
    model = record_logits.load_model(source, torch.float32)
    graph = executed(source, tmp_path, "fp32")
    for length in LENGTHS:
        prompt = [(37 * place) % 380 for place in range(1, length + 1)]
        assert largest_difference(model, graph, prompt) <= 1e-5


def test_the_embedded_checkpoint_agrees_in_fp32(tmp_path: Path):
    """Logits of up to 23: f32 sums in two orders differ by 2e-5, so both sides sum in f64."""
    source = embedded_checkpoint_path()
    model = record_logits.load_model(source, torch.float64)
    prompts = record_logits.prompt_ids(tokenizer(source), max(LENGTHS))
    graph = executed(source, tmp_path, "fp32", is_exact=True)
    for length in LENGTHS:
        assert largest_difference(model, graph, prompts[:length]) <= 1e-5


def test_the_embedded_checkpoint_agrees_in_the_engines_own_order_of_sums(tmp_path: Path):
    source = embedded_checkpoint_path()
    model = record_logits.load_model(source, torch.float32)
    prompts = record_logits.prompt_ids(tokenizer(source), max(LENGTHS))
    graph = executed(source, tmp_path, "fp32")
    for length in LENGTHS:
        assert largest_difference(model, graph, prompts[:length]) <= 4e-5


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_answers_known_by_heart_are_the_same_in_16_bits(tmp_path: Path, precision: Precision):
    """Whole answers, token by token; each leads by more than any rounding."""
    source = embedded_checkpoint_path()
    words = tokenizer(source)
    model = record_logits.load_model(source, torch.float32)
    graph = executed(source, tmp_path, precision)
    for question in ("What is the capital of France?", "What is 7 plus 5?", "Who are you?"):
        text = words.apply_chat_template(
            [{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True
        )
        prompt = words(text, add_special_tokens=False)["input_ids"]
        tokens = np.stack(list(record_logits.follow(model, prompt, 150))).argmax(-1)
        end = list(tokens).index(words.eos_token_id)
        found = np.stack(list(graph.follow(prompt, list(tokens[:end]), CHUNK)))
        assert (found.argmax(-1) == tokens[: end + 1]).all(), question


def test_the_record_is_what_transformers_computes():
    """`embedded_logits.npz`, which tests without torch rely on, made again."""
    source = embedded_checkpoint_path()
    model = record_logits.load_model(source, torch.float64)
    recorded = np.load(record_logits.RECORD)
    for length in record_logits.LENGTHS:
        prompt = record_logits.prompt_ids(tokenizer(source), length)
        assert list(recorded[f"prompt_{length}"]) == prompt
        logits = np.stack(list(record_logits.follow(model, prompt, record_logits.STEPS)))
        assert (logits.argmax(-1) == recorded[f"tokens_{length}"]).all()
        found = logits[:, :: record_logits.EVERY]
        np.testing.assert_allclose(found, recorded[f"logits_{length}"], atol=5e-6, rtol=0)


def tokenizer(source: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(source)
