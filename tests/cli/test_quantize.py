"""`quantize` as a user runs it, up to where the quantizer would be installed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from trt_nemotron.errors import PlanRefused

pytestmark = pytest.mark.slow


def run(*arguments: object, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "trt_nemotron", "quantize", *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=60, cwd=cwd,
    )  # fmt: skip


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    path = tmp_path / "documents.jsonl"
    path.write_text('{"text": "one"}\n{"text": "two"}\n')
    return path


def test_dry_run_names_the_data_and_writes_nothing(documents: Path, tmp_path: Path):
    words = ("--precision", "nvfp4", "--calibration", documents, "--out", "out", "--dry-run")
    done = run(*words, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["calibration"]["samples"] == 2
    assert len(said["calibration"]["sha256"]) == 64
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--precision", "fp8", "--calibration", "no.jsonl"), "cannot be calibrated with"),
        (("--precision", "int4_awq", "--calibration", "documents.jsonl"),
         "INT4 is not supported for this model"),
        (("--precision", "int3", "--calibration", "documents.jsonl"), "Choose one of: fp8, nvfp4"),
        (("--precision", "fp8", "--calibration", "documents.jsonl", "--release", "0.11.1"),
         "0.11.1 cannot be installed"),
        (("--precision", "fp8"), "--calibration"),
    ],
)  # fmt: skip
def test_what_cannot_be_quantized_is_refused_before_anything_is_installed(
    documents: Path, tmp_path: Path, words: tuple[str, ...], message: str
):
    for more in ((), ("--dry-run",)):
        done = run(*words, "--out", "out", *more, cwd=tmp_path)
        is_plan = "not supported" in message
        assert done.returncode == (PlanRefused.exit_code if is_plan else 2), done.stderr
        assert message in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["documents.jsonl"]
