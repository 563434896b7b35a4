"""Training gives the same bytes from the same seed, and its fast forms are exact."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from training.fast_scan import fast_scan, quadratic_scan
from training.model import initial_model

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("default")]

ROOT = Path(__file__).parents[2]


def trained_files(folder: Path, *, seed: int, **environment: str) -> dict[str, bytes]:
    """What four steps of training write, run in a process of its own."""
    command = [sys.executable, "-m", "training.train", "--steps", "4", "--seed", str(seed)]
    subprocess.run(
        [*command, "--out", str(folder)],
        cwd=ROOT,
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        timeout=300,
    )
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_same_seed_gives_the_same_bytes_whatever_the_environment(tmp_path: Path):
    first = trained_files(tmp_path / "first", seed=0)
    again = trained_files(
        tmp_path / "again",
        seed=0,
        OMP_NUM_THREADS="2",
        ATEN_CPU_CAPABILITY="default",
        MKL_CBWR="AVX2",
    )
    assert first == again


def test_another_seed_gives_other_weights_and_the_same_tokenizer(tmp_path: Path):
    first = trained_files(tmp_path / "first", seed=0)
    other = trained_files(tmp_path / "other", seed=1)
    assert first["model.safetensors"] != other["model.safetensors"]
    assert first["tokenizer.json"] == other["tokenizer.json"]


def test_training_replaces_files_and_leaves_no_others(tmp_path: Path):
    (tmp_path / "config.json").write_text("old")
    (tmp_path / "README.md").write_text("kept")
    files = trained_files(tmp_path, seed=0)
    assert set(files) == {
        *("README.md", "chat_template.jinja", "config.json", "generation_config.json"),
        *("model.safetensors", "tokenizer.json", "tokenizer_config.json"),
    }
    assert files["README.md"] == b"kept"
    assert files["config.json"].startswith(b"{")


@pytest.mark.parametrize("length", [1, 5, 64, 65, 200])
def test_fast_forms_give_the_library_s_logits_and_gradients(length: int):
    torch.set_num_threads(1)
    model = initial_model(seed=3)
    ids = torch.randint(0, 1024, (2, length), generator=torch.Generator().manual_seed(length))

    def logits_and_gradients() -> tuple[torch.Tensor, list[torch.Tensor]]:
        model.zero_grad()
        logits = model(ids, use_cache=False).logits
        logits.logsumexp(dim=-1).mean().backward()
        return logits.detach(), [parameter.grad.clone() for parameter in model.parameters()]

    expected, expected_gradients = logits_and_gradients()
    with fast_scan():
        actual, gradients = logits_and_gradients()
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)
    for gradient, expected_gradient in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, expected_gradient, rtol=1e-3, atol=1e-6)


def test_fast_scan_refuses_to_carry_a_state():
    with pytest.raises(ValueError, match="carries no state"):
        quadratic_scan(*[None] * 5, 64, None, None, return_final_states=True)


def test_fast_scan_leaves_the_library_as_it_was():
    from transformers.models.nemotron_h import modeling_nemotron_h as library

    before = library.mamba2_chunk_scan, library.causal_conv1d_fn
    with fast_scan():
        assert library.mamba2_chunk_scan is quadratic_scan
    assert (library.mamba2_chunk_scan, library.causal_conv1d_fn) == before
