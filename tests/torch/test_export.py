"""A checkpoint written by `training.export` loads everywhere and loses nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM

from training.chat import ChatTemplate
from training.corpus import load_corpus
from training.export import write_checkpoint
from training.model import CONFIG, initial_model
from training.train import make_tokenizer

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def model() -> Any:
    return initial_model(seed=5).eval()


@pytest.fixture(scope="module")
def folder(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint")
    template = ChatTemplate.read()
    write_checkpoint(path, model, make_tokenizer(load_corpus(), template), template)
    return path


def test_loads_with_every_weight_and_the_same_logits(model: Any, folder: Path):
    loaded, report = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    ids = torch.arange(150)[None]
    with torch.inference_mode():
        expected = model(ids, use_cache=False).logits
        assert torch.equal(loaded(ids, use_cache=False).logits, expected)


def test_weights_have_the_published_names(folder: Path):
    with safe_open(folder / "model.safetensors", "pt") as file:
        names = set(file.keys())
    assert {"lm_head.weight", "backbone.embeddings.weight", "backbone.norm_f.weight"} < names
    layers = {name.split(".")[2] for name in names if name.startswith("backbone.layers.")}
    assert layers == {str(index) for index in range(CONFIG["num_hidden_layers"])}
    assert "backbone.layers.0.mixer.A_log" in names
    assert "backbone.layers.1.mixer.up_proj.weight" in names
    assert "backbone.layers.3.mixer.q_proj.weight" in names


def test_config_is_plain_json_that_names_no_experts(folder: Path):
    text = (folder / "config.json").read_text(encoding="utf-8")
    config = json.loads(text, parse_constant=pytest.fail)
    assert not [key for key in config if "expert" in key or "moe" in key]
    assert len(config["hybrid_override_pattern"]) == config["num_hidden_layers"]
    assert "transformers_version" not in config


def test_every_file_is_readable_by_all(folder: Path):
    assert {oct(path.stat().st_mode & 0o777) for path in folder.iterdir()} == {"0o644"}
