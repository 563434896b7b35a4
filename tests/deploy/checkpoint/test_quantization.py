"""Quantized checkpoints in ModelOpt's two forms, written by hand and broken in every way."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from trt_nemotron.deploy.checkpoint.opening import open_checkpoint
from trt_nemotron.deploy.checkpoint.quantization import QUANTIZATION_NAME
from trt_nemotron.errors import CheckpointUnusable

SIZES = {"F32": 4, "BF16": 2, "F8_E4M3": 1, "U8": 1}
FIRST = "backbone.layers.0.mixer.in_proj"
Tensors = dict[str, tuple[str, list[int]]]


def read_tensors(folder: Path) -> Tensors:
    data = (folder / "model.safetensors").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    header.pop("__metadata__", None)
    return {name: ("BF16", entry["shape"]) for name, entry in header.items()}


def write_tensors(folder: Path, tensors: Tensors) -> None:
    header: dict[str, Any] = {}
    end = 0
    for name, (storage, shape) in tensors.items():
        size = math.prod(shape) * SIZES[storage]
        header[name] = {"dtype": storage, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    data = len(text).to_bytes(8, "little") + text + bytes(end)
    (folder / "model.safetensors").write_bytes(data)


def quantized(tensors: Tensors, form: str) -> Tensors:
    made: Tensors = {}
    for name, (storage, shape) in tensors.items():
        if not name.endswith("_proj.weight"):
            made[name] = (storage, shape)
            continue
        stem, (rows, columns) = name.removesuffix(".weight"), shape
        made[f"{stem}.input_scale"] = ("F32", [])
        if form == "FP8":
            made[name] = ("F8_E4M3", shape)
            made[f"{stem}.weight_scale"] = ("F32", [])
        else:
            made[name] = ("U8", [rows, columns // 2])
            made[f"{stem}.weight_scale"] = ("F8_E4M3", [rows, columns // 16])
            made[f"{stem}.weight_scale_2"] = ("F32", [])
    return made


def state(folder: Path, **words: str) -> None:
    (folder / QUANTIZATION_NAME).write_text(json.dumps({"quantization": words}))


@pytest.fixture
def make(random_checkpoints: ModuleType, tmp_path: Path) -> Callable[[str], Path]:
    def write(form: str) -> Path:
        folder: Path = random_checkpoints.RandomCheckpoint().write(tmp_path / "model")
        write_tensors(folder, quantized(read_tensors(folder), form))
        state(folder, quant_algo=form, kv_cache_quant_algo="FP8")
        return folder

    return write


@pytest.mark.parametrize(("form", "storage"), [("FP8", "F8_E4M3"), ("NVFP4", "NVFP4")])
def test_form_is_read_from_the_files(make: Callable[[str], Path], form: str, storage: str):
    checkpoint = open_checkpoint(make(form))
    assert checkpoint.quantization == storage
    assert checkpoint.stated_quantization == form
    assert checkpoint.kv_cache == "fp8"
    assert checkpoint.parameters == checkpoint.shape.parameters
    assert QUANTIZATION_NAME in {file.name for file in checkpoint.files}
    weights = next(it for it in checkpoint.groups if it.storage == storage and not it.is_scale)
    linear = weights.elements
    assert weights.size_bytes == linear // (2 if form == "NVFP4" else 1)
    scales = sum(it.size_bytes for it in checkpoint.groups if it.is_scale)
    singles = 2 * 4  # input_scale, and weight_scale or weight_scale_2
    assert scales == weights.tensors * singles + linear // 16 * (form == "NVFP4")
    assert checkpoint.embedding_bytes == 384 * 64 * 2


def test_configuration_inside_config_json_is_read_too(make: Callable[[str], Path]):
    folder = make("FP8")
    (folder / QUANTIZATION_NAME).unlink()
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_algo": "FP8", "kv_cache_scheme": {"num_bits": 8}}
    (folder / "config.json").write_text(json.dumps(config))
    checkpoint = open_checkpoint(folder)
    assert (checkpoint.stated_quantization, checkpoint.kv_cache) == ("FP8", "fp8")


def test_silence_about_the_form_is_no_fault(make: Callable[[str], Path]):
    folder = make("FP8")
    (folder / QUANTIZATION_NAME).unlink()
    checkpoint = open_checkpoint(folder)
    assert (checkpoint.quantization, checkpoint.stated_quantization) == ("F8_E4M3", "")


@pytest.mark.parametrize(("form", "said"), [("FP8", "NVFP4"), ("NVFP4", "FP8")])
def test_contradiction_is_refused(make: Callable[[str], Path], form: str, said: str):
    folder = make(form)
    state(folder, quant_algo=said)
    with pytest.raises(CheckpointUnusable, match="contradicts itself"):
        open_checkpoint(folder)


@pytest.mark.parametrize("said", ["FP8", "W4A8_AWQ"])
def test_plain_weights_said_to_be_quantized_are_refused(
    tiny_checkpoint: Path, tmp_path: Path, said: str
):

    folder = tmp_path / "copy"
    shutil.copytree(tiny_checkpoint, folder)
    state(folder, quant_algo=said)
    with pytest.raises(CheckpointUnusable, match="contradicts itself"):
        open_checkpoint(folder)


@pytest.mark.parametrize("text", ["{", "[]"])
def test_damaged_statement_is_refused(make: Callable[[str], Path], text: str):
    folder = make("FP8")
    (folder / QUANTIZATION_NAME).write_text(text)
    with pytest.raises(CheckpointUnusable, match=QUANTIZATION_NAME):
        open_checkpoint(folder)


@pytest.mark.parametrize(
    ("form", "change", "evidence"),
    [
        ("FP8", {f"{FIRST}.weight_scale": None}, "has no weight_scale"),
        ("FP8", {f"{FIRST}.weight_scale": ("F32", [3])}, "F32 [3]"),
        ("FP8", {f"{FIRST}.weight_scale": ("F8_E4M3", [])}, "its weight demands F32"),
        ("FP8", {f"{FIRST}.weight": ("F8_E4M3", [4, 4])}, "F8_E4M3 [4, 4]"),
        ("NVFP4", {f"{FIRST}.weight_scale_2": None}, "no single weight_scale_2"),
        ("NVFP4", {f"{FIRST}.weight_scale_2": ("F32", [2])}, "no single weight_scale_2"),
        ("NVFP4", {f"{FIRST}.weight_scale": ("F32", [])}, "its weight demands F8_E4M3"),
        ("NVFP4", {"backbone.norm_f.weight": ("U8", [64])}, "belong to linear layers"),
        ("FP8", {"backbone.embeddings.weight": ("F8_E4M3", [384, 64])}, "belong to linear"),
        ("FP8", {"backbone.layers.0.mixer.extra_scale": ("F32", [])}, "extra_scale"),
    ],
)
def test_broken_form_is_refused_by_name(
    make: Callable[[str], Path],
    form: str,
    change: dict[str, tuple[str, list[int]] | None],
    evidence: str,
):
    folder = make(form)
    data = (folder / "model.safetensors").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    tensors: Tensors = {name: (it["dtype"], it["shape"]) for name, it in header.items()}
    for name, value in change.items():
        if value is None:
            del tensors[name]
        else:
            tensors[name] = value
    write_tensors(folder, tensors)
    with pytest.raises(CheckpointUnusable) as fault:
        open_checkpoint(folder)
    assert evidence in fault.value.evidence


@pytest.mark.parametrize("shape", [[], [1], [544], [544, 1]])
def test_scale_of_fp8_may_be_one_or_one_a_row(make: Callable[[str], Path], shape: list[int]):
    folder = make("FP8")
    data = (folder / "model.safetensors").read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    rows = header[f"{FIRST}.weight"]["shape"][0]
    tensors: Tensors = {name: (it["dtype"], it["shape"]) for name, it in header.items()}
    tensors[f"{FIRST}.weight_scale"] = ("F32", [rows if it == 544 else it for it in shape])
    write_tensors(folder, tensors)
    assert open_checkpoint(folder).quantization == "F8_E4M3"
