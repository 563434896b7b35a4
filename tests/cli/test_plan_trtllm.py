"""`plan` and `build` for boards, from the command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from trt_nemotron.cli.main import run

FP8 = ("--target", "spark", "--checkpoint", "nemotron-3-nano-4b-fp8")


def test_plan_shows_memory_settings_roofline_and_warnings(capsys: pytest.CaptureFixture[str]):
    assert run(["plan", *FP8, "--profile", "latency"]) == 0
    out = capsys.readouterr().out
    for text in ("page cache", "kv_cache_config.max_tokens", "tokens/s", "273 GB/s", "! Mapping"):
        assert text in out


def test_json_carries_what_was_asked(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    file = tmp_path / "more.yaml"
    file.write_text("stream_interval: 2\n")
    options = ("--max-concurrency", "2", "--max-seq-len", "4096", "--slo", "tpot_ms=90,ttft_ms=500")
    more = ("--set", "print_iter_log=true", "--override", str(file), "--release", "1.3.0rc13")
    assert run(["plan", *FP8, *options, *more, "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    choices = {choice["name"]: choice["value"] for choice in plan["choices"]}
    assert plan["release"] == "1.3.0rc13"
    assert (choices["max_batch_size"], choices["max_seq_len"]) == (2, 4096)
    assert (choices["print_iter_log"], choices["stream_interval"]) == (True, 2)
    assert plan["roofline"]["weight_bytes"] == 4_444_929_216


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["plan", "--target", "cpu", "--profile", "latency"], 2, "--profile"),
        (["plan", "--target", "cpu", "--release", "1.2.1"], 2, "--release"),
        (["plan", "--target", "cpu", "--set", "a=1"], 2, "--set"),
        (["plan", *FP8, "--slots", "3"], 2, "Say --max-concurrency"),
        (["plan", *FP8, "--slo", "tpot=3"], 2, "ttft_ms=200,tpot_ms=20"),
        (["plan", *FP8, "--slo", "tpot_ms=3,tpot_ms=4"], 2, "each once"),
        (["plan", *FP8, "--slo", "tpot_ms=soon"], 2, "no number"),
        (["plan", *FP8, "--slo", "tpot_ms=3"], 8, "physics allows"),
        (["plan", *FP8, "--override", "no-such-file.yaml"], 2, "cannot read no-such-file.yaml"),
        (["plan", *FP8, "--profile", "lattency"], 2, "--profile latency"),
        (["plan", *FP8, "--release", "1.4.0rc1"], 8, "15178"),
        (["build", *FP8], 7, "can be planned, not built"),
        (["build", *FP8, "--dry-run"], 7, "can be planned, not built"),
        (["plan", "--target", "h100-sxm", "--runtime", "edgellm"], 8, "--runtime trtllm"),
        (["plan", "--target", "spark", "--checkpoint", "nemotron-3-nano-4b-int4"], 7, "no such"),
    ],
)  # fmt: skip
def test_faults_name_their_fix(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, text: str
):
    assert run(arguments) == code
    assert text in capsys.readouterr().err


def test_family_without_a_board_names_the_three(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run(["plan", "--target", "h100"]) == 2
    assert "h100-nvl, h100-pcie, h100-sxm" in capsys.readouterr().err


def test_family_is_the_board_that_the_driver_shows(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho NVIDIA H100 NVL\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert run(["plan", "--target", "h100", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["target"] == "h100-nvl"


def test_embedded_checkpoint_is_built_for_a_board_on_any_machine(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    out = tmp_path / "bundle"
    assert run(["build", "--target", "h100-sxm", "--out", str(out)]) == 0
    assert (out / "model" / "config.yaml").is_file()
    assert run(["verify", str(out)]) == 0
    assert run(["build", "--target", "h100-sxm", "--out", str(out), "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["action"] == "keep"


def test_check_says_the_intent_by_another_name(capsys: pytest.CaptureFixture[str]):
    assert run(["check", "--target", "cpu", "--plan-profile", "latency", "--dry-run"]) == 2
    assert "--profile" in capsys.readouterr().err


def test_cold_plan_for_a_board_imports_nothing_heavy():
    program = (
        "import sys\nfrom trt_nemotron.cli.main import run\n"
        "run(['plan', '--target', 'h100-sxm', '--json'])\nprint('MODULES', *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(done.stdout.rpartition("MODULES")[2].split())
    assert loaded.isdisjoint(
        {"numpy", "gguf", "xllamacpp", "torch", "transformers", "requests", "rich", "jinja2"}
    )


def test_targets_show_memory_bandwidth_and_family(capsys: pytest.CaptureFixture[str]):
    assert run(["targets"]) == 0
    out = capsys.readouterr().out
    for text in ("3,350 GB/s, sm_90", "121.7 GiB usable, shared with the host", "trtllm 1.3.0rc14",
                 "--target h100 asks the driver"):  # fmt: skip
        assert text in out
