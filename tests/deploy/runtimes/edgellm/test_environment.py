import sys
from pathlib import Path
from typing import Any

import pytest

from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.runtimes.edgellm.environment import (
    PYTHON_VARIABLE,
    Environment,
    ensure_environment,
    is_lockable,
    lock_path,
)
from trt_nemotron.deploy.runtimes.edgellm.runtime import RUNTIME
from trt_nemotron.deploy.runtimes.staged import Staged
from trt_nemotron.errors import EnvironmentUnfit, InvalidInput
from trt_nemotron.facts.catalogue import newest_release


def test_lock_pins_every_package_with_hashes():
    lines = lock_path("0.11.0").read_text().splitlines()
    pins = [line for line in lines if "==" in line]
    assert any(line.startswith("tensorrt-edgellm==0.11.0 ") for line in pins)
    assert any(line.startswith("transformers==5.14.1 ") for line in pins)
    assert not any(line.startswith(("torch==", "nvidia-")) for line in pins)
    assert all(line.rstrip().endswith("\\") for line in pins)


def test_release_without_a_lock_is_refused_and_not_the_default(tmp_path: Path):
    assert newest_release("edgellm").release == "0.11.1"
    assert not is_lockable("0.11.1")
    assert RUNTIME.release().release == "0.11.0"
    with pytest.raises(InvalidInput, match=r"0\.11\.1 cannot be installed"):
        ensure_environment("0.11.1", root=tmp_path, variables={})


def test_named_interpreter_without_edge_llm_is_refused():
    with pytest.raises(EnvironmentUnfit, match=r"does not hold release 0\.11\.0") as caught:
        ensure_environment("0.11.0", variables={PYTHON_VARIABLE: sys.executable})
    assert "tensorrt-edgellm" in caught.value.evidence


def test_named_interpreter_that_does_not_run_is_refused(tmp_path: Path):
    with pytest.raises(EnvironmentUnfit, match="does not run"):
        ensure_environment("0.11.0", variables={PYTHON_VARIABLE: str(tmp_path / "python")})


def test_fingerprint_follows_the_versions():
    one = Environment(Path("a"), {"torch": "2.13.0", "onnx": "1.19.0"})
    same = Environment(Path("b"), {"onnx": "1.19.0", "torch": "2.13.0"})
    other = Environment(Path("a"), {"torch": "2.13.1", "onnx": "1.19.0"})
    assert one.fingerprint == same.fingerprint != other.fingerprint


def test_runtime_is_one_of_two_steps():
    assert isinstance(RUNTIME, Staged)


def test_looking_for_the_device_installs_nothing(
    planned: Any, embedded: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A dry run and a kept bundle ask this; the environment is a gigabyte."""
    monkeypatch.delenv(PYTHON_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    assert not RUNTIME.can_finish(planned(embedded))
    assert not list(tmp_path.rglob("env-*"))
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho NVIDIA Thor\n")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert RUNTIME.can_finish(planned(embedded))
    assert not RUNTIME.can_finish(planned(embedded, "spark"))
    assert not list(tmp_path.rglob("env-*"))


@pytest.mark.slow
def test_second_use_finds_the_environment_ready(environment: Environment):
    again = ensure_environment("0.11.0")
    assert again == environment
    assert again.versions["tensorrt-edgellm"] == "0.11.0"
