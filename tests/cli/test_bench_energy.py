"""`bench --energy` from the command line: joules of a leg by a double of nvidia-smi."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.measure.bench.conftest import Truth
from tests.measure.bench.nvidia_smi_double import nvidia_smi_double
from trt_nemotron.cli.main import run
from trt_nemotron.measure.bench.energy_sources import HWMON

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        any(HWMON.glob("hwmon*/in1_label")), reason="this board's own rails come before nvidia-smi"
    ),
]

LONG = ["--concurrency", "1", "--requests", "12", "--input-tokens", "24", "--warmup", "1"]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The root of a truth server that takes a tenth of a second for each answer."""
    server = Truth()
    yield server.url_for(ttft_ms=20, interval_ms=15)
    server.end()


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with two boards of 150 W each."""
    nvidia_smi_double(tmp_path, "150.00", "nvidia-smi")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def test_joules_a_token_are_the_power_over_the_time_of_the_leg(
    url: str, board: Path, capsys: pytest.CaptureFixture[str]
):
    assert run(["bench", "--url", url, *LONG, "--output-tokens", "6", "--energy", "--json"]) == 0
    tree = json.loads(capsys.readouterr().out)
    (energy,) = tree["energy"]
    assert energy["joules"] == pytest.approx(300.0 * energy["duration_s"], rel=1e-3)
    assert energy["samples"] >= 2
    (leg,) = tree["summary"]["concurrencies"]
    assert leg["watts"] == pytest.approx(300.0, rel=1e-3)
    tokens = 6 * (12 + 1)  # those of warm-up were fed by the same joules
    assert leg["joules_per_token"] == pytest.approx(energy["joules"] / tokens)


def test_people_are_told_the_joules_and_their_source(
    url: str, board: Path, capsys: pytest.CaptureFixture[str]
):
    assert run(["bench", "--url", url, *LONG, "--output-tokens", "6", "--energy"]) == 0
    said = capsys.readouterr().err
    assert "J/token" in said or "joules" in said
    assert "idle power included" in said


def test_energy_is_measured_only_when_asked_for(
    url: str, board: Path, capsys: pytest.CaptureFixture[str]
):
    assert run(["bench", "--url", url, *LONG, "--output-tokens", "6", "--json"]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert tree["energy"] == []
    assert tree["summary"]["concurrencies"][0]["joules_per_token"] is None
