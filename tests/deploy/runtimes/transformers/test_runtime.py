"""The runtime `transformers` as far as it goes without torch: bundle, command line, refusals."""

import sys
from pathlib import Path

import msgspec
import pytest

from trt_nemotron.deploy.bundle.reader import verify_bundle
from trt_nemotron.deploy.bundle.values import MODEL_FOLDER, Manifest
from trt_nemotron.deploy.bundle.writer import build_bundle
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.machine import Machine
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.planning import make_plan
from trt_nemotron.deploy.runtimes.protocol import Place, Wishes
from trt_nemotron.deploy.runtimes.transformers.interpreter import (
    OLDEST,
    PYTHON_VARIABLE,
    check_interpreter,
    interpreter,
)
from trt_nemotron.deploy.runtimes.transformers.runtime import RUNTIME
from trt_nemotron.errors import CheckpointUnusable, EnvironmentUnfit, InvalidInput
from trt_nemotron.progress import SILENT

LAPTOP = Machine(architecture="x86_64", cores=2, memory_total_bytes=8 << 30)


def python_double(path: Path, **versions: str) -> str:
    """A program that answers as an interpreter with these packages would."""
    found = {"torch": "2.13.0", "transformers": "5.23.0", "fastapi": "1", "uvicorn": "1"}
    lines = "".join(f"echo {name} {version}\n" for name, version in {**found, **versions}.items())
    path.write_text(f"#!/bin/sh\n{lines}")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def with_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    program = python_double(tmp_path / "python")
    monkeypatch.setenv(PYTHON_VARIABLE, program)
    return program


def planned(checkpoint: Path) -> tuple[Plan, Checkpoint]:
    return make_plan("cpu", "transformers", checkpoint, Wishes(), LAPTOP)


def built(out: Path, checkpoint: Path) -> tuple[Manifest, Plan]:
    plan, opened = planned(checkpoint)
    return build_bundle(out, plan, opened, RUNTIME), plan


def test_a_bundle_holds_the_checkpoint_under_the_served_name(
    tiny_checkpoint: Path, tmp_path: Path, with_torch: str
):
    manifest, plan = built(tmp_path / "b", tiny_checkpoint)
    assert manifest.model_path == f"{MODEL_FOLDER}/{plan.served_model_name}"
    for file in tiny_checkpoint.iterdir():
        copied = tmp_path / "b" / manifest.model_path / file.name
        assert copied.read_bytes() == file.read_bytes()
        assert not copied.samefile(file)
    verify_bundle(tmp_path / "b")


def test_the_command_line_says_the_plan_and_stays_on_this_machine(
    tiny_checkpoint: Path, tmp_path: Path, with_torch: str
):
    manifest, plan = built(tmp_path / "b", tiny_checkpoint)
    launch = RUNTIME.launch(tmp_path / "b", manifest, plan, Place(port=8123))
    program, _, folder, name, *options = launch.argv
    assert (program, folder) == (with_torch, str(tmp_path / "b" / "model"))
    assert (Path(folder) / name).is_dir()
    said = dict(zip(options[::2], options[1::2], strict=True))
    assert said == {
        "--port": "8123",
        "--device": "cpu",
        "--dtype": "float32",
        "--reasoning": "auto",
    }
    assert launch.environment["OMP_NUM_THREADS"] == str(plan.choice("OMP_NUM_THREADS"))
    assert launch.environment["HF_HUB_OFFLINE"] == "1"
    assert not launch.is_model_listed


@pytest.mark.parametrize("name", ["a@b", "a/b", "../b", "-x", "a b"])
def test_a_name_that_the_server_would_cut_is_refused(
    tiny_checkpoint: Path, tmp_path: Path, with_torch: str, name: str
):
    plan, opened = planned(tiny_checkpoint)
    renamed = msgspec.structs.replace(plan, served_model_name=name)
    with pytest.raises(InvalidInput, match="cannot serve under the name"):
        RUNTIME.build(renamed, opened, tmp_path, SILENT)


def test_a_gguf_file_is_refused(tiny_checkpoint: Path, tmp_path: Path, with_torch: str):
    plan, opened = planned(tiny_checkpoint)
    gguf = msgspec.structs.replace(opened, format="gguf")
    with pytest.raises(CheckpointUnusable, match="safetensors checkpoints only"):
        RUNTIME.build(plan, gguf, tmp_path, SILENT)


def test_our_own_interpreter_is_used_unless_another_is_named():
    assert interpreter({}) == sys.executable
    assert interpreter({PYTHON_VARIABLE: "/opt/python"}) == "/opt/python"


@pytest.mark.parametrize(
    ("versions", "evidence"),
    [
        ({"torch": "-"}, "not installed: torch"),
        ({"transformers": "-", "uvicorn": "-"}, "not installed: transformers, uvicorn"),
        ({"transformers": "5.14.1"}, "transformers 5.14.1 is too old"),
        ({"transformers": "5.9.0"}, "too old"),
        ({"transformers": "5.15.0.dev0"}, "too old"),
    ],
)
def test_what_is_missing_or_too_old_is_named_with_the_extra(
    tmp_path: Path, versions: dict[str, str], evidence: str
):
    with pytest.raises(EnvironmentUnfit) as caught:
        check_interpreter(python_double(tmp_path / "python", **versions))
    assert evidence in caught.value.evidence
    assert "pip install 'trt-nemotron[transformers]'" in caught.value.next_step


@pytest.mark.parametrize("version", ["5.15.1", "5.23.0", "6.0.0", "5.100.0", "5.15.1.post1"])
def test_releases_that_compute_rightly_are_taken(tmp_path: Path, version: str):
    assert OLDEST == (5, 15, 1)
    check_interpreter(python_double(tmp_path / "python", transformers=version))


def test_an_interpreter_that_does_not_run_is_named(tmp_path: Path):
    with pytest.raises(EnvironmentUnfit, match="does not run") as caught:
        check_interpreter(str(tmp_path / "none"))
    assert PYTHON_VARIABLE in caught.value.next_step
