"""Safetensors to GGUF: what is written, read back and loaded by llama.cpp itself."""

import hashlib
import json
import resource
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import gguf
import numpy as np
import pytest

from trt_nemotron.deploy.checkpoint.architecture import gguf_tensors
from trt_nemotron.deploy.checkpoint.opening import open_checkpoint
from trt_nemotron.deploy.runtimes.llamacpp.convert import convert, precision_of
from trt_nemotron.deploy.runtimes.llamacpp.storage import Precision, storage_type
from trt_nemotron.errors import CheckpointUnusable, InvalidInput
from trt_nemotron.progress import SILENT

PRECISIONS: tuple[Precision, ...] = ("f32", "f16", "bf16", "q8_0")


def converted(folder: Path, target: Path, precision: Precision = "f32") -> gguf.GGUFReader:
    convert(open_checkpoint(folder), target, name="x", precision=precision, progress=SILENT)
    return gguf.GGUFReader(target)


def numbers(reader: gguf.GGUFReader) -> dict[str, np.ndarray]:
    return {
        tensor.name: gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        for tensor in reader.tensors
    }


def field(reader: gguf.GGUFReader, name: str) -> object:
    found = reader.fields[name]
    return found.contents()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_tensor_has_the_shape_and_the_type_the_plan_counts_with(
    tiny_checkpoint: Path, tmp_path: Path, precision: Precision
):
    checkpoint = open_checkpoint(tiny_checkpoint)
    reader = converted(tiny_checkpoint, tmp_path / "m.gguf", precision)
    found = {t.name: (tuple(map(int, t.shape)), t.tensor_type.name) for t in reader.tensors}
    expected = {
        name: (dimensions, storage_type(name, dimensions, precision).name)
        for name, dimensions in gguf_tensors(checkpoint.shape).items()
    }
    assert found == expected


def test_numbers_are_those_of_the_checkpoint(
    random_checkpoints: ModuleType, tiny_checkpoint: Path, tmp_path: Path
):
    source = random_checkpoints.RandomCheckpoint().tensors()
    written = numbers(converted(tiny_checkpoint, tmp_path / "m.gguf"))
    mixer = "backbone.layers.0.mixer."
    np.testing.assert_array_equal(
        written["token_embd.weight"], source["backbone.embeddings.weight"]
    )
    np.testing.assert_array_equal(written["output.weight"], source["lm_head.weight"])
    np.testing.assert_array_equal(
        written["blk.3.attn_k.weight"], source["backbone.layers.3.mixer.k_proj.weight"]
    )
    np.testing.assert_array_equal(
        written["blk.0.ssm_norm.weight"].ravel(), source[mixer + "norm.weight"]
    )
    np.testing.assert_array_equal(
        written["blk.0.ssm_conv1d.weight"], source[mixer + "conv1d.weight"][:, 0, :]
    )
    np.testing.assert_allclose(
        written["blk.0.ssm_a"].ravel(), -np.exp(source[mixer + "A_log"]), rtol=3e-7
    )


def test_a_bfloat16_checkpoint_is_read_without_torch(
    random_checkpoints: ModuleType, tmp_path: Path
):
    checkpoint = random_checkpoints.RandomCheckpoint(stored="BF16")
    folder = checkpoint.write(tmp_path / "bf16")
    written = numbers(converted(folder, tmp_path / "m.gguf"))
    stored = random_checkpoints.encode(checkpoint.tensors()["lm_head.weight"], "BF16")
    halves = np.frombuffer(stored, "<u2")
    expected = (halves.astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_array_equal(written["output.weight"].ravel(), expected)


def test_shards_give_the_same_bytes_as_one_file(random_checkpoints: ModuleType, tmp_path: Path):
    for shards in (1, 3):
        folder = random_checkpoints.RandomCheckpoint(shards=shards).write(tmp_path / str(shards))
        converted(folder, tmp_path / f"{shards}.gguf", "q8_0")
    assert (tmp_path / "1.gguf").read_bytes() == (tmp_path / "3.gguf").read_bytes()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_two_processes_write_the_same_bytes(
    tiny_checkpoint: Path, tmp_path: Path, precision: Precision
):
    program = """
import sys
from pathlib import Path
from trt_nemotron.deploy.checkpoint.opening import open_checkpoint
from trt_nemotron.deploy.runtimes.llamacpp.convert import convert
from trt_nemotron.progress import SILENT
source, target, precision = sys.argv[1:]
convert(open_checkpoint(Path(source)), Path(target), name="x", precision=precision, progress=SILENT)
"""
    hashes = set()
    for seed in ("1", "2"):
        target = tmp_path / f"{seed}.gguf"
        subprocess.run(
            [sys.executable, "-c", program, tiny_checkpoint, target, precision],
            env={"PYTHONHASHSEED": seed, "PATH": "/usr/bin"},
            check=True,
            timeout=60,
        )
        hashes.add(hashlib.sha256(target.read_bytes()).hexdigest())
    assert len(hashes) == 1


def test_metadata_says_which_layer_is_which_and_which_token_ends(
    tiny_checkpoint: Path, tmp_path: Path
):
    reader = converted(tiny_checkpoint, tmp_path / "m.gguf", "q8_0")
    assert field(reader, "general.architecture") == "nemotron_h"
    assert field(reader, "nemotron_h.attention.head_count_kv") == [0, 0, 0, 2, 0, 0, 0]
    assert field(reader, "nemotron_h.feed_forward_length") == [0, 96, 0, 0, 96, 0, 96]
    assert field(reader, "tokenizer.ggml.eos_token_id") == 5
    assert field(reader, "tokenizer.ggml.bos_token_id") == 1
    assert field(reader, "tokenizer.ggml.padding_token_id") == 3
    assert field(reader, "tokenizer.ggml.add_bos_token") is False
    assert field(reader, "tokenizer.chat_template") == (
        (tiny_checkpoint / "chat_template.jinja").read_text()
    )


def test_tied_embeddings_have_no_output_tensor(random_checkpoints: ModuleType, tmp_path: Path):
    folder = random_checkpoints.RandomCheckpoint(is_tied=True).write(tmp_path / "tied")
    assert "output.weight" not in numbers(converted(folder, tmp_path / "m.gguf"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mlp_hidden_act", "silu"),
        ("mamba_hidden_act", "gelu"),
        ("sliding_window", 128),
        ("rope_scaling", {"type": "linear", "factor": 2.0}),
        ("num_nextn_predict_layers", 1),
        ("time_step_limit", [0.0, 0.1]),
        ("time_step_limit", [0.001, {"__float__": "Infinity"}]),
        ("time_step_limit", "none"),
    ],
)
def test_what_llama_cpp_computes_otherwise_is_refused(
    random_checkpoints: ModuleType, tmp_path: Path, key: str, value: object
):
    checkpoint = random_checkpoints.RandomCheckpoint(config={key: value})
    with pytest.raises(CheckpointUnusable, match=key):
        converted(checkpoint.write(tmp_path / "c"), tmp_path / "m.gguf")


def test_a_network_without_epsilon_is_refused(random_checkpoints: ModuleType, tmp_path: Path):
    folder = random_checkpoints.RandomCheckpoint().write(tmp_path / "c")
    config = json.loads((folder / "config.json").read_text())
    del config["layer_norm_epsilon"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointUnusable, match="epsilon"):
        converted(folder, tmp_path / "m.gguf")


@pytest.mark.parametrize(("value", "message"), [(np.nan, "not finite"), (np.inf, "not finite")])
def test_weights_that_are_no_numbers_are_refused(
    random_checkpoints: ModuleType, tmp_path: Path, value: float, message: str
):
    folder = spoiled(random_checkpoints, tmp_path, value)
    with pytest.raises(CheckpointUnusable, match=message):
        converted(folder, tmp_path / "m.gguf")


def test_weights_too_large_for_f16_are_refused_and_fit_f32(
    random_checkpoints: ModuleType, tmp_path: Path
):
    folder = spoiled(random_checkpoints, tmp_path, 1e5)
    with pytest.raises(CheckpointUnusable, match="does not fit into F16"):
        converted(folder, tmp_path / "m.gguf", "f16")
    converted(folder, tmp_path / "m.gguf", "f32")


def spoiled(random_checkpoints: ModuleType, tmp_path: Path, value: float) -> Path:
    """A checkpoint in which one number of one matrix is `value`."""
    checkpoint = random_checkpoints.RandomCheckpoint()
    folder: Path = checkpoint.write(tmp_path / "c")
    tensors = checkpoint.tensors()
    tensors["backbone.layers.1.mixer.up_proj.weight"][7, 3] = value
    random_checkpoints.write_safetensors(folder / "model.safetensors", tensors, "F32")
    return folder


def test_an_fp8_checkpoint_is_refused(random_checkpoints: ModuleType, tmp_path: Path):
    folder = random_checkpoints.RandomCheckpoint().write(tmp_path / "c")
    data = (folder / "model.safetensors").read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    body = bytearray()
    for name, entry in sorted(header.items(), key=lambda item: item[1].get("data_offsets", [0])[0]):
        if name == "__metadata__":
            continue
        start, end = entry["data_offsets"]
        entry["data_offsets"] = [len(body), len(body) + (end - start) // 4]
        entry["dtype"] = "F8_E4M3"
        body += bytes((end - start) // 4)
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + body)
    with pytest.raises(CheckpointUnusable, match="F8_E4M3"):
        converted(folder, tmp_path / "m.gguf")


def test_an_unknown_precision_is_refused():
    assert precision_of("q8_0") == "q8_0"
    with pytest.raises(InvalidInput, match="q4_k"):
        precision_of("q4_k")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_memory_does_not_grow_with_the_checkpoint(random_checkpoints: ModuleType, tmp_path: Path):
    """A matrix of 256 MB passes through well less than its own size of fresh memory."""
    size = {"vocab_size": 65536, "hidden_size": 1024, "pattern": "-"}
    folder = random_checkpoints.RandomCheckpoint(overrides=size, stored="BF16").write(
        tmp_path / "large"
    )
    program = """
import sys
from pathlib import Path
import numpy, gguf
from trt_nemotron.deploy.checkpoint.opening import open_checkpoint
from trt_nemotron.deploy.runtimes.llamacpp.convert import convert
from trt_nemotron.progress import SILENT
def anonymous():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmData"))
import threading, time
peak = start = anonymous()
def watch():
    global peak
    while True:
        peak = max(peak, anonymous())
        time.sleep(0.005)
threading.Thread(target=watch, daemon=True).start()
source, target = map(Path, sys.argv[1:])
convert(open_checkpoint(source), target, name="x", precision="q8_0", progress=SILENT)
print((peak - start) // 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, folder, tmp_path / "m.gguf"],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert int(done.stdout) < 200  # MiB


def test_no_space_leaves_the_system_error(tiny_checkpoint: Path, tmp_path: Path):
    """The file size limit stands in for a full disk: writing fails in the middle of a tensor."""
    program = """
import resource, sys
from pathlib import Path
from trt_nemotron.deploy.checkpoint.opening import open_checkpoint
from trt_nemotron.deploy.runtimes.llamacpp.convert import convert
from trt_nemotron.progress import SILENT
source, target = map(Path, sys.argv[1:])
checkpoint = open_checkpoint(source)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    convert(checkpoint, target, name="x", precision="f32", progress=SILENT)
except OSError as fault:
    print("OSError", fault.errno)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, tiny_checkpoint, tmp_path / "m.gguf"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.startswith("OSError"), done.stderr
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 100_000
