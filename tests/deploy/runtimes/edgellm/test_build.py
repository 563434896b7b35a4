"""Step one for real, with Edge-LLM's own exporter and planning code; the device is a double."""

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.runtimes.edgellm.test_device import tools
from trt_nemotron import command
from trt_nemotron.deploy.checkpoint.opening import open_checkpoint
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.machine import memory_available_bytes
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.edgellm.building import build, engine_sizes
from trt_nemotron.deploy.runtimes.edgellm.comparing import inspect_graph
from trt_nemotron.deploy.runtimes.edgellm.environment import Environment
from trt_nemotron.deploy.runtimes.edgellm.export import Export, expected_memory
from trt_nemotron.deploy.runtimes.edgellm.exporting import (
    EXPORT_FUNCTION,
    GRAPH_FOLDER,
    RECORD_NAME,
    export_checked,
    read_record,
)
from trt_nemotron.deploy.runtimes.edgellm.graph import judge_graph
from trt_nemotron.deploy.runtimes.edgellm.predicted import predict_config
from trt_nemotron.deploy.runtimes.edgellm.running import run_inside
from trt_nemotron.deploy.runtimes.edgellm.staging import hub_config, stage_checkpoint
from trt_nemotron.deploy.runtimes.edgellm.values import (
    BuildState,
    CheckedGraph,
    WeightReport,
)
from trt_nemotron.document import read_document
from trt_nemotron.errors import CheckFailed, CheckpointUnusable, CommandFailed
from trt_nemotron.facts.release import RuntimeRelease
from trt_nemotron.progress import SILENT

pytestmark = pytest.mark.slow

ALL_EXPORTS = "TRT_NEMOTRON_ALL_EXPORTS"
another_export = pytest.mark.skipif(
    not os.environ.get(ALL_EXPORTS),
    reason=f"exports or executes a graph again, a minute or more each; {ALL_EXPORTS}=1 runs it",
)
"""Without it the chain is proven by one export of the embedded checkpoint, shared by this file."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of its own, so that nothing is found that another run left."""
    return tmp_path_factory.mktemp("cache")


@dataclass(frozen=True)
class Step:
    """What step one needs, for the embedded checkpoint."""

    plan: Plan
    checkpoint: Checkpoint
    environment: Environment
    release: RuntimeRelease

    def build(self, folder: Path, root: Path, mode: str) -> None:
        build(
            self.plan,
            self.checkpoint,
            folder,
            SILENT,
            root=root,
            environment=self.environment,
            tools=tools(mode),
        )


@pytest.fixture(scope="module")
def step(
    planned: Any, embedded: Checkpoint, environment: Environment, release: RuntimeRelease
) -> Step:
    return Step(planned(embedded), embedded, environment, release)


@pytest.fixture(scope="module")
def built(root: Path, step: Step, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder of a build of the embedded checkpoint, on a machine without a device."""
    folder = tmp_path_factory.mktemp("model")
    step.build(folder, root, "no-device")
    return folder


def test_build_ends_after_step_one_and_says_so(built: Path):
    state = read_document(built / "state.json", BuildState)
    assert state.state == "device step pending"
    assert "--target thor" in state.next_step
    assert not (built / "engine").exists()


def test_graph_agrees_with_transformers_within_the_stated_tolerance(built: Path, root: Path):
    (folder,) = (root / "onnx").glob("*/")
    record = read_record(folder)
    assert record is not None
    found = {it.name: it for it in record.differences}
    assert found.keys() == {"prefill", "batch", "decode", "as_exported"}
    for name in ("prefill", "batch", "decode"):
        assert found[name].max_abs_difference <= 2e-3
        assert found[name].other_argmax == 0
        assert found[name].tokens > 100
    kept = read_document(built / "graph.json", CheckedGraph)
    assert kept.tolerance == 2e-3
    assert kept.environment["transformers"] == "5.14.1"


def test_device_goes_on_from_step_one_without_exporting_again(
    built: Path, root: Path, step: Step, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DOUBLE_CONFIG", str(built / "expected-config.json"))
    before = sorted(path.stat().st_mtime_ns for path in root.rglob("*.onnx"))
    model = tmp_path / "model"
    model.mkdir()
    step.build(model, root, "right")
    assert read_document(model / "state.json", BuildState).state == "built"
    assert (model / "engine" / "llm.engine").is_file()
    assert sorted(path.stat().st_mtime_ns for path in root.rglob("*.onnx")) == before
    for name in ("graph.json", "expected-config.json", "checkpoint/model.safetensors"):
        assert (model / name).read_bytes() == (built / name).read_bytes()


def test_predicted_configuration_is_what_the_plan_says(built: Path, planned: Any, embedded: Any):
    config = json.loads((built / "expected-config.json").read_bytes())
    sizes = engine_sizes(planned(embedded))
    builder = config["builder_config"]
    assert builder["max_batch_size"] == sizes.batch
    assert builder["max_input_len"] == sizes.input_tokens
    assert builder["max_kv_cache_capacity"] == sizes.capacity
    assert builder["max_kv_pool_pages"] == sizes.pages
    assert config["recurrent_state_dtype"] == config["conv_state_dtype"] == "fp16"
    assert config["num_linear_attn_layers"] == embedded.shape.mamba_layers
    assert config["layer_types"] == ["mamba", "mamba", "attention", "mamba"]


def test_planning_code_takes_the_real_models_sizes(
    built: Path, planned: Any, embedded: Checkpoint, environment: Environment
):
    sizes = engine_sizes(planned(embedded, max_concurrency=3, max_seq_len=1000))
    config = predict_config(built / "checkpoint", sizes, environment, SILENT)
    assert config["builder_config"]["max_kv_pool_pages"] == 24


@another_export
def test_exporter_that_writes_an_unquantized_graph_is_caught(
    built: Path, embedded: Checkpoint, environment: Environment, tmp_path: Path
):
    run_inside(
        environment.python, EXPORT_FUNCTION,
        [str(built / "checkpoint"), str(tmp_path / "out"), "--quantization", "nvfp4"],
        log=tmp_path / "log", progress=SILENT, expected_bytes=1, timeout_s=600,
    )  # fmt: skip
    report = inspect_graph(tmp_path / "out" / "llm", environment, SILENT)
    with pytest.raises(CheckFailed, match="not quantized to nvfp4"):
        judge_graph(report, embedded, "nvfp4")


MAKE_FP8 = """
import json, shutil, sys
from pathlib import Path
import torch
from safetensors.torch import load_file, save_file
source, target = map(Path, sys.argv[1:])
shutil.copytree(source, target)
tensors = {}
for name, tensor in load_file(source / "model.safetensors").items():
    if not name.endswith("_proj.weight"):
        tensors[name] = tensor.to(torch.bfloat16)
        continue
    scale = tensor.abs().max().float() / 448
    tensors[name] = (tensor.float() / scale).to(torch.float8_e4m3fn)
    tensors[name + "_scale"] = scale
    tensors[name.replace(".weight", ".input_scale")] = torch.tensor(0.05)
save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
said = {"quant_algo": "FP8", "kv_cache_quant_algo": None, "exclude_modules": ["lm_head"]}
(target / "hf_quant_config.json").write_text(json.dumps({"quantization": said}))
"""


@another_export
def test_quantized_checkpoint_gives_a_graph_that_is_quantized(
    built: Path, step: Step, tmp_path: Path
):
    """FP8 in the form of ModelOpt; the scales are made up, so that only its form is checked."""
    folder = tmp_path / "fp8"
    words = [str(built / "checkpoint"), str(folder)]
    command.run([str(step.environment.python), "-c", MAKE_FP8, *words], timeout_s=300)
    checkpoint = open_checkpoint(folder)
    assert checkpoint.quantization == "F8_E4M3"
    staged = tmp_path / "staged"
    staged.mkdir()
    stage_checkpoint(checkpoint, staged, step.environment.python, SILENT)
    export = Export(checkpoint, staged, "fp8", step.release, step.environment)
    _, record = export_checked(export, SILENT, root=tmp_path / "cache")
    assert record.report.linear_types == {"FLOAT8E4M3FN": 16, "FLOAT16": 1}
    assert record.differences == ()
    with pytest.raises(CheckFailed, match="quantized, and nobody asked"):
        judge_graph(record.report, checkpoint, "fp16")


REAL_WIDTHS = {
    "pattern": "M-*-", "hidden_size": 3136, "intermediate_size": 12544, "vocab_size": 1024,
    "num_attention_heads": 40, "num_key_value_heads": 8, "head_dim": 128, "mamba_num_heads": 96,
    "mamba_head_dim": 80, "n_groups": 8, "ssm_state_size": 128, "chunk_size": 256,
}  # fmt: skip


@another_export
def test_four_layers_of_the_real_widths_agree_with_transformers(
    random_checkpoints: Any, environment: Environment, release: RuntimeRelease, tmp_path: Path
):
    """281 million parameters; a few minutes on two cores, 1.4 GB of memory."""
    made = random_checkpoints.RandomCheckpoint(overrides=REAL_WIDTHS, stored="BF16")
    checkpoint = open_checkpoint(made.write(tmp_path / "wide"))
    staged = tmp_path / "staged"
    staged.mkdir()
    stage_checkpoint(checkpoint, staged, environment.python, SILENT)
    export = Export(checkpoint, staged, "fp16", release, environment)
    _, record = export_checked(export, SILENT, root=tmp_path / "cache")
    assert {it.name for it in record.differences} == {"prefill", "batch", "decode"}
    assert record.peak_bytes < 2_000_000_000


THE_4B = {
    **REAL_WIDTHS, "vocab_size": 131_072, "max_position_embeddings": 262_144,
}  # fmt: skip
NEEDED_BYTES = 14_000_000_000


@another_export
def test_the_whole_4b_is_exported_and_checked(
    random_checkpoints: Any, environment: Environment, release: RuntimeRelease, tmp_path: Path
):
    """All 42 layers, 3.97 billion random weights: 25 GB of disk, 10 GB of memory, six minutes.

    Every weight is compared; logits are not, which takes 19 GB and more than a quarter of an hour.
    """
    if memory_available_bytes() < NEEDED_BYTES:
        pytest.skip(f"needs {NEEDED_BYTES / 1e9:.0f} GB of memory")
    made = random_checkpoints.RandomCheckpoint(
        overrides={**THE_4B, "pattern": random_checkpoints.REAL_4B_PATTERN},
        config={"max_position_embeddings": 262_144},
        stored="BF16",
        shards=4,
    )
    try:
        checkpoint = open_checkpoint(made.write(tmp_path / "4b"))
        assert checkpoint.parameters == 3_973_556_832
        staged = tmp_path / "staged"
        staged.mkdir()
        stage_checkpoint(checkpoint, staged, environment.python, SILENT)
        export = Export(checkpoint, staged, "fp16", release, environment, memory_bytes=0)
        _, record = export_checked(export, SILENT, root=tmp_path / "cache")
        figures = {"peak_bytes": record.peak_bytes, "seconds": record.seconds}
        sys.stderr.write(f"{figures}\n{record.files}\n")
        assert record.report.linear_types == {"FLOAT16": 93}
        assert record.peak_bytes < expected_memory(checkpoint, release)
        assert record.weights == WeightReport(compared=263 - 21, other=(), missing=())
        assert not record.differences
    finally:
        shutil.rmtree(tmp_path)


def test_cut_off_weights_are_caught(
    root: Path, built: Path, embedded: Checkpoint, environment: Environment, tmp_path: Path
):
    (folder,) = (root / "onnx").glob("*/")
    graph = tmp_path / "graph"
    shutil.copytree(folder / GRAPH_FOLDER, graph)
    data = graph / "model.onnx.data"
    data.write_bytes(data.read_bytes()[:-100_000])
    with pytest.raises(CheckFailed, match=r"weights are cut off|checker refuses"):
        judge_graph(inspect_graph(graph, environment, SILENT), embedded, "fp16")


def test_graph_of_changed_weights_is_not_this_checkpoints(
    root: Path, built: Path, step: Step, tmp_path: Path
):
    """What was exported whole and is not this checkpoint is caught, number by number."""
    (source,) = (root / "onnx").glob("*/")
    cache = tmp_path / "cache"
    target = cache / "onnx" / source.name
    shutil.copytree(source, target)
    (target / RECORD_NAME).unlink()
    data = bytearray((target / GRAPH_FOLDER / "model.onnx.data").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 20_000] = bytes(20_000)
    (target / GRAPH_FOLDER / "model.onnx.data").write_bytes(data)
    staged = built / "checkpoint"
    export = Export(step.checkpoint, staged, "fp16", step.release, step.environment)
    with pytest.raises(CheckFailed, match="has other numbers in"):
        export_checked(export, SILENT, root=cache)
    assert not (target / GRAPH_FOLDER).exists()


@another_export
def test_checkpoint_in_transformers_own_form_is_staged_and_exported(
    random_checkpoints: Any, environment: Environment, release: RuntimeRelease, tmp_path: Path
):
    """BF16, `layers_block_type`, an infinite time step: as Transformers saves it."""
    checkpoint = open_checkpoint(
        random_checkpoints.RandomCheckpoint(stored="BF16").write(tmp_path / "native")
    )
    staged = tmp_path / "staged"
    staged.mkdir()
    stage_checkpoint(checkpoint, staged, environment.python, SILENT)
    export = Export(checkpoint, staged, "fp16", release, environment)
    _, record = export_checked(export, SILENT, root=tmp_path / "cache")
    assert {it.name for it in record.differences} >= {"prefill", "decode"}


def test_numbers_that_fp16_cannot_hold_are_refused(
    random_checkpoints: Any, environment: Environment, tmp_path: Path
):
    made = random_checkpoints.RandomCheckpoint(stored="F32")
    folder = made.write(tmp_path / "large")
    tensors = made.tensors()
    tensors["backbone.norm_f.weight"][:] = 1e6
    random_checkpoints.write_safetensors(folder / "model.safetensors", tensors, "F32")
    staged = tmp_path / "staged"
    staged.mkdir()
    with pytest.raises(CheckpointUnusable, match="FP16 cannot") as caught:
        stage_checkpoint(open_checkpoint(folder), staged, environment.python, SILENT)
    assert "norm_f" in caught.value.evidence
    assert not list(staged.glob("*.safetensors"))


def test_failure_inside_is_told_with_the_end_of_its_log(environment: Environment, tmp_path: Path):
    with pytest.raises(CommandFailed, match="ended with exit code 1") as caught:
        run_inside(
            environment.python, "inspect_graph:main", [str(tmp_path), str(tmp_path / "r")],
            log=tmp_path / "log", progress=SILENT, expected_bytes=1, timeout_s=60,
        )  # fmt: skip
    assert "model.onnx" in caught.value.evidence


def test_hub_form_is_what_the_exporter_reads(embedded: Checkpoint):
    native = {
        "model_type": "nemotron_h", "layers_block_type": ["mlp"], "dtype": "float32",
        "time_step_limit": [0.0, {"__float__": "Infinity"}],
    }  # fmt: skip
    config = hub_config(native, embedded.shape, "float16")
    assert config == {
        "model_type": "nemotron_h", "time_step_limit": [0.0, 1e9], "torch_dtype": "float16",
        "hybrid_override_pattern": "M-M*-M-", "num_hidden_layers": 7,
    }  # fmt: skip
