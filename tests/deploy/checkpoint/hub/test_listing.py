"""Which files are fetched: what a checkpoint needs, and nothing that could run."""

import pytest

from trt_nemotron.deploy.checkpoint.hub.listing import HubFile, needed_files
from trt_nemotron.deploy.checkpoint.hub.reference import HubReference
from trt_nemotron.errors import CheckpointUnusable

REFERENCE = HubReference("owner/name", "0" * 40)
WHOLE = ("config.json", "tokenizer.json", "model.safetensors")


def listed(*names: str) -> list[HubFile]:
    return [HubFile(name, len(name), "a" * 40, is_lfs=False) for name in names]


def test_pickles_programs_and_folders_stay_behind():
    others = (
        "pytorch_model.bin", "model.pt", "flax_model.msgpack", "modeling_x.py", "README.md",
        "original/model.safetensors", "onnx/config.json", "model.safetensors.py", "a.gguf",
    )  # fmt: skip
    chosen = needed_files(REFERENCE, listed(*WHOLE, "generation_config.json", *others))
    assert {it.name for it in chosen} == {*WHOLE, "generation_config.json"}


def test_small_files_come_first():
    chosen = needed_files(REFERENCE, listed(*WHOLE))
    assert [it.name for it in chosen] == ["config.json", "tokenizer.json", "model.safetensors"]


@pytest.mark.parametrize("missing", WHOLE)
def test_half_a_model_is_refused_before_anything_is_fetched(missing: str):
    with pytest.raises(CheckpointUnusable, match=r"has no|holds no"):
        needed_files(REFERENCE, listed(*(name for name in WHOLE if name != missing)))


def test_a_gguf_repository_says_what_to_do_with_it():
    with pytest.raises(CheckpointUnusable, match="no weights in safetensors") as caught:
        needed_files(REFERENCE, listed("model-Q4_K_M.gguf", "README.md"))
    assert "model-Q4_K_M.gguf" in caught.value.evidence
    assert "--checkpoint" in caught.value.next_step


@pytest.mark.parametrize(
    ("hub_id", "is_lfs"),
    [("", False), ("a" * 39, False), ("a" * 40, True), ("../" * 20, False), ("A" * 64, True)],
)
def test_an_id_that_is_no_hash_is_refused(hub_id: str, is_lfs: bool):
    files = [
        *listed("config.json", "tokenizer.json"),
        HubFile("model.safetensors", 1, hub_id, is_lfs),
    ]
    with pytest.raises(CheckpointUnusable, match="does not say what"):
        needed_files(REFERENCE, files)
