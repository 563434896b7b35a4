"""Shards and their index: every way in which they can fail to belong together, each told apart."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from trt_nemotron.deploy.checkpoint import open_checkpoint
from trt_nemotron.deploy.checkpoint.safetensors_index import INDEX_NAME, WEIGHTS_NAME, read_weights
from trt_nemotron.errors import CheckpointUnusable

ONE, TWO, THREE = (f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3))


@pytest.fixture
def sharded(random_checkpoints: ModuleType, tmp_path: Path) -> Path:
    written: Path = random_checkpoints.RandomCheckpoint(shards=3).write(tmp_path / "sharded")
    return written


def refusal(folder: Path) -> CheckpointUnusable:
    with pytest.raises(CheckpointUnusable) as caught:
        open_checkpoint(folder)
    assert caught.value.exit_code == 7
    assert caught.value.next_step
    return caught.value


def edit_index(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    tree = json.loads((folder / INDEX_NAME).read_text())
    change(tree)
    (folder / INDEX_NAME).write_text(json.dumps(tree))


def equally_long(folder: Path) -> None:
    """Pad the headers with blanks, as the format allows, until two shards have one size."""
    paths = [folder / ONE, folder / TWO]
    size = max(path.stat().st_size for path in paths)
    for path in paths:
        data = path.read_bytes()
        length = int.from_bytes(data[:8], "little")
        blanks = size - len(data)
        path.write_bytes(
            (length + blanks).to_bytes(8, "little")
            + data[8 : 8 + length]
            + b" " * blanks
            + data[8 + length :]
        )


def test_two_exchanged_shards_of_one_size_are_named(sharded: Path):
    equally_long(sharded)
    assert (sharded / ONE).stat().st_size == (sharded / TWO).stat().st_size
    open_checkpoint(sharded)
    (sharded / ONE).rename(sharded / "aside")
    (sharded / TWO).rename(sharded / ONE)
    (sharded / "aside").rename(sharded / TWO)
    fault = refusal(sharded)
    assert fault.message == f"{ONE} holds the tensors of {TWO}"
    assert "exchanged" in fault.evidence


def test_a_shard_of_another_model_of_the_same_size_is_told(sharded: Path):
    data = (sharded / TWO).read_bytes()
    foreign = data.replace(b'"backbone.', b'"backbonf.').replace(b'"lm_head.', b'"lm_heae.')
    (sharded / TWO).write_bytes(foreign)
    assert refusal(sharded).message == f"{TWO} is of another model"


def test_every_missing_shard_is_counted(sharded: Path):
    (sharded / ONE).unlink()
    (sharded / THREE).unlink()
    fault = refusal(sharded)
    assert f"lacks {ONE}" in fault.message
    assert "2 of 3 files are missing" in fault.evidence


def test_shards_without_their_index(sharded: Path):
    (sharded / INDEX_NAME).unlink()
    fault = refusal(sharded)
    assert "has no weights" in fault.message
    assert f"{ONE} needs the index" in fault.evidence


@pytest.mark.parametrize("name", ["model-00004-of-00004.safetensors", "adapter.safetensors"])
def test_a_weight_file_too_many_is_refused_for_runtimes_load_it(sharded: Path, name: str):
    (sharded / name).write_bytes((sharded / ONE).read_bytes())
    fault = refusal(sharded)
    assert f"a weight file too many: {name}" in fault.message


def test_shards_of_an_older_revision_beside_one_whole_file(sharded: Path, tiny_checkpoint: Path):
    (sharded / WEIGHTS_NAME).write_bytes((tiny_checkpoint / WEIGHTS_NAME).read_bytes())
    assert f"a weight file too many: {ONE}" in refusal(sharded).message


def test_a_corrupted_header_names_its_file(sharded: Path):
    data = bytearray((sharded / TWO).read_bytes())
    data[20:24] = b"\xff\xff\xff\xff"
    (sharded / TWO).write_bytes(data)
    fault = refusal(sharded)
    assert str(sharded / TWO) in fault.message
    assert "header is not JSON" in fault.evidence


def test_a_total_that_is_not_the_sum_is_refused(sharded: Path):
    edit_index(sharded, lambda tree: tree["metadata"].update(total_size=1))
    fault = refusal(sharded)
    assert "disagree on their size" in fault.message
    assert "total_size is 1" in fault.evidence


def test_a_publishers_own_wrong_total_is_no_damage(sharded: Path):
    edit_index(sharded, lambda tree: tree["metadata"].update(total_size=1))
    assert len(read_weights(sharded, is_index_vouched=True).files) == 3


@pytest.mark.parametrize("total", [None, "large", True, [], 1.5])
def test_a_total_that_is_no_number_says_nothing(sharded: Path, total: object):
    edit_index(sharded, lambda tree: tree["metadata"].update(total_size=total))
    if total is True:
        refusal(sharded)
    else:
        open_checkpoint(sharded)


def test_a_total_written_as_a_float_is_a_number(sharded: Path):
    edit_index(
        sharded,
        lambda tree: tree["metadata"].update(total_size=float(tree["metadata"]["total_size"])),
    )
    open_checkpoint(sharded)


def test_an_index_that_places_a_tensor_twice_is_refused(sharded: Path):
    text = (sharded / INDEX_NAME).read_text()
    entry = '"lm_head.weight": "' + TWO + '",'
    (sharded / INDEX_NAME).write_text(text.replace('"weight_map": {', '"weight_map": {' + entry))
    fault = refusal(sharded)
    assert "'lm_head.weight' stands twice" in fault.evidence


@pytest.mark.parametrize("place", ["../outside.safetensors", "/etc/passwd", "", 7])
def test_an_index_that_points_elsewhere_is_refused(sharded: Path, place: object):
    edit_index(sharded, lambda tree: tree["weight_map"].update({"lm_head.weight": place}))
    assert "points outside its folder" in refusal(sharded).message


def test_a_tensor_in_two_shards_is_refused(sharded: Path):
    (sharded / TWO).write_bytes((sharded / ONE).read_bytes())
    assert refusal(sharded).message == f"{TWO} holds the tensors of {ONE}"
