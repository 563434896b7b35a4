import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from trt_nemotron.deploy.checkpoint import EMBEDDED_NAME, embedded_checkpoint_path, open_checkpoint
from trt_nemotron.deploy.checkpoint.architecture import hub_tensors
from trt_nemotron.errors import CheckpointUnusable

INDEX = "model.safetensors.index.json"


@pytest.fixture
def folder(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A whole checkpoint that a test may damage."""
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "model"))


@pytest.fixture
def sharded(random_checkpoints: ModuleType, tmp_path: Path) -> Path:
    written: Path = random_checkpoints.RandomCheckpoint(shards=3).write(tmp_path / "sharded")
    return written


def edit_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    tree = json.loads(path.read_text())
    change(tree)
    path.write_text(json.dumps(tree))


def refusal(folder: Path) -> CheckpointUnusable:
    with pytest.raises(CheckpointUnusable) as caught:
        open_checkpoint(folder)
    assert caught.value.next_step
    return caught.value


@pytest.mark.parametrize("shards", [1, 4])
@pytest.mark.parametrize("stored", ["F32", "F16", "BF16"])
def test_whole_checkpoint_is_read(
    random_checkpoints: ModuleType, tmp_path: Path, shards: int, stored: str
):
    made = random_checkpoints.RandomCheckpoint(shards=shards, stored=stored)
    checkpoint = open_checkpoint(made.write(tmp_path / "m"))
    elements = sum(tensor.size for tensor in made.tensors().values())
    assert checkpoint.parameters == checkpoint.shape.parameters == elements
    assert checkpoint.weight_bytes == elements * (4 if stored == "F32" else 2)
    assert checkpoint.quantization == stored
    assert checkpoint.name == "m"
    assert Path(checkpoint.path).is_absolute()
    names = [file.name for file in checkpoint.files]
    assert names == sorted(names)
    assert sum(name.endswith(".safetensors") for name in names) == shards
    assert (INDEX in names) == (shards > 1)
    assert {"config.json", "tokenizer.json", "chat_template.jinja"} <= set(names)


def test_tied_embeddings_have_no_second_matrix(random_checkpoints: ModuleType, tmp_path: Path):
    checkpoint = open_checkpoint(random_checkpoints.RandomCheckpoint(is_tied=True).write(tmp_path))
    assert checkpoint.shape.is_embedding_tied
    assert "lm_head.weight" not in hub_tensors(checkpoint.shape)
    assert checkpoint.parameters == checkpoint.shape.parameters


def test_names_as_transformers_keeps_them_in_memory_are_accepted(folder: Path):
    path = folder / "model.safetensors"
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + length].replace(b'"backbone.', b'"model.')
    path.write_bytes(len(header).to_bytes(8, "little") + header + data[8 + length :])
    assert open_checkpoint(folder).parameters == open_checkpoint(folder).shape.parameters


def test_revision_is_read_from_the_hub_s_cache(folder: Path, tmp_path: Path):
    revision = "dfaf35de3e30f1867dd8dbc38a7fc9fb52d3914f"
    home = tmp_path / "models--nvidia--NVIDIA-Nemotron-3-Nano-4B-BF16" / "snapshots" / revision
    shutil.copytree(folder, home)
    checkpoint = open_checkpoint(home)
    assert checkpoint.name == "NVIDIA-Nemotron-3-Nano-4B-BF16"
    assert checkpoint.revision == revision


def test_embedded_checkpoint_bears_a_name_that_cannot_be_mistaken():
    assert open_checkpoint(embedded_checkpoint_path()).name == EMBEDDED_NAME


def test_nothing_there(tmp_path: Path):
    assert "there is no checkpoint at" in refusal(tmp_path / "nothing").message


def test_one_file_of_a_checkpoint_is_sent_to_its_folder(folder: Path):
    fault = refusal(folder / "model.safetensors")
    assert str(folder) in fault.next_step


def test_folder_without_config(folder: Path):
    (folder / "config.json").unlink()
    fault = refusal(folder)
    assert "has no config.json" in fault.message
    assert "model.safetensors" in fault.evidence


def test_folder_without_weights_names_the_pickle_it_will_not_load(folder: Path):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    fault = refusal(folder)
    assert "has no weights" in fault.message
    assert "pytorch_model.bin is a pickle" in fault.evidence


def test_folder_without_tokenizer(folder: Path):
    (folder / "tokenizer.json").unlink()
    assert "has no tokenizer.json" in refusal(folder).message


@pytest.mark.parametrize("name", ["tokenizer.json", "chat_template.jinja", "config.json"])
def test_a_link_to_another_file_brings_nothing_into_a_checkpoint(
    folder: Path, tmp_path: Path, name: str
):
    (folder / name).rename(tmp_path / "token")
    (folder / name).symlink_to("../token")
    fault = refusal(folder)
    assert name in fault.message
    assert str(tmp_path / "token") in fault.evidence


def test_links_to_files_of_the_same_name_and_into_the_hubs_cache_are_followed(
    folder: Path, tmp_path: Path
):
    farm = tmp_path / "models--maker--m" / "snapshots" / ("0" * 40)
    farm.mkdir(parents=True)
    (blobs := farm.parent.parent / "blobs").mkdir()
    for place, path in enumerate(sorted(folder.iterdir())):
        if place % 2:
            (farm / path.name).symlink_to(path)
        else:
            path.rename(blobs / f"{place:040x}")
            (farm / path.name).symlink_to(f"../../blobs/{place:040x}")
    assert open_checkpoint(farm).name == "m"


def test_truncated_weights(folder: Path):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    assert "cut short" in refusal(folder).evidence


def test_missing_shard_is_named(sharded: Path):
    (sharded / "model-00002-of-00003.safetensors").unlink()
    fault = refusal(sharded)
    assert "lacks model-00002-of-00003.safetensors" in fault.message


def test_truncated_shard_is_named(sharded: Path):
    path = sharded / "model-00003-of-00003.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    assert path.name in refusal(sharded).message


def test_index_that_places_a_tensor_elsewhere(sharded: Path):
    def swap(tree: dict[str, Any]) -> None:
        places = tree["weight_map"]
        others = set(places.values()) - {places["backbone.norm_f.weight"]}
        places["backbone.norm_f.weight"] = min(others)

    edit_json(sharded / INDEX, swap)
    fault = refusal(sharded)
    assert "disagree" in fault.message
    assert "backbone.norm_f.weight" in fault.evidence


def test_index_that_forgets_a_tensor(sharded: Path):
    edit_json(sharded / INDEX, lambda tree: tree["weight_map"].pop("lm_head.weight"))
    assert "is not in the index" in refusal(sharded).evidence


@pytest.mark.parametrize("place", ["../model-00001-of-00003.safetensors", "/etc/passwd", 7])
def test_index_that_points_outside_is_refused(sharded: Path, place: object):
    edit_json(sharded / INDEX, lambda tree: tree["weight_map"].update({"lm_head.weight": place}))
    assert "points outside its folder" in refusal(sharded).message


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"weight_map": {}}', '{"weight_map": []}'])
def test_broken_index_is_refused(sharded: Path, text: str):
    (sharded / INDEX).write_text(text)
    assert INDEX in refusal(sharded).message


def test_missing_tensor_is_named(folder: Path, random_checkpoints: ModuleType):
    rewrite(
        folder,
        random_checkpoints,
        lambda tensors: tensors.pop("backbone.layers.3.mixer.o_proj.weight"),
    )
    fault = refusal(folder)
    assert "lacks tensors" in fault.message
    assert "layers.3.mixer.o_proj.weight" in fault.evidence


def test_foreign_tensor_is_named(folder: Path, random_checkpoints: ModuleType):
    rewrite(
        folder,
        random_checkpoints,
        lambda it: it.update({"backbone.layers.0.mixer.gate.weight": it["lm_head.weight"]}),
    )
    fault = refusal(folder)
    assert "has foreign tensors" in fault.message
    assert "layers.0.mixer.gate.weight" in fault.evidence


def test_scale_of_a_quantized_weight_is_no_stranger(folder: Path, random_checkpoints: ModuleType):
    rewrite(
        folder,
        random_checkpoints,
        lambda it: it.update(
            {"backbone.layers.0.mixer.in_proj.weight_scale": it["backbone.norm_f.weight"][:1]}
        ),
    )
    assert open_checkpoint(folder)


def test_wrong_shape_is_named_with_both_shapes(folder: Path, random_checkpoints: ModuleType):
    rewrite(
        folder,
        random_checkpoints,
        lambda it: it.update(
            {
                "backbone.layers.1.mixer.up_proj.weight": it[
                    "backbone.layers.1.mixer.up_proj.weight"
                ].T
            }
        ),
    )
    fault = refusal(folder)
    assert "wrong shape" in fault.message
    assert "[64, 96]" in fault.evidence
    assert "[96, 64]" in fault.evidence


def test_packed_weights_are_refused(folder: Path):
    path = folder / "model.safetensors"
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    packed = header["backbone.layers.0.mixer.in_proj.weight"]
    packed["dtype"], packed["shape"] = "U8", [packed["shape"][0], packed["shape"][1] * 4]
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    fault = refusal(folder)
    assert "holds a quantized tensor that cannot be used" in fault.message
    assert "U8" in fault.evidence


def rewrite(
    folder: Path, random_checkpoints: ModuleType, change: Callable[[dict[str, Any]], object]
) -> None:
    """The same weights with some of them changed."""
    tensors = random_checkpoints.RandomCheckpoint().tensors()
    change(tensors)
    random_checkpoints.write_safetensors(folder / "model.safetensors", tensors, "F32")
