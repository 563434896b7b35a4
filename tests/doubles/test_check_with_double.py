"""`trt-nemotron check` for a board, with the double on PATH as `trtllm-serve` is in its image."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.doubles.trtllm_serve.installing import install_double

NO_BASELINE = 5


@pytest.mark.slow
def test_check_of_a_board_goes_all_the_way_in_the_process(tmp_path: Path):
    path = f"{install_double(tmp_path / 'bin', '1.3.0rc6').parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "trt_nemotron", "check", "--target", "h100-sxm", "--engine",
         "process", "--json"],
        cwd=tmp_path, env={**os.environ, "PATH": path, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True, text=True, check=False, timeout=540,
    )  # fmt: skip
    assert done.returncode == NO_BASELINE, done.stdout + done.stderr
    stages = {it["name"]: it for it in json.loads(done.stdout)["stages"]}
    assert {it["status"] for name, it in stages.items() if name != "gate"} == {"done"}
    assert "18 passed" in stages["smoke"]["summary"]
    assert list((tmp_path / "cache").rglob("trtllm-double")), "compiled artefacts have no place"
