"""The board's power mode, as its own programs tell it."""

from pathlib import Path

import pytest

from trt_nemotron.deploy.power import power_mode
from trt_nemotron.facts.catalogue import load_target


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put a program of that name and these lines, and nothing else, on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def put(name: str, *lines: str, code: int = 0) -> None:
        text = "\n".join(f"echo '{line}'" for line in lines)
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\nexit {code}\n")
        (tmp_path / name).chmod(0o755)

    return put


def test_a_jetson_says_its_mode(program):
    program("nvpmodel", "NV Power Mode: MAXN", "0")
    assert power_mode(load_target("thor")) == "MAXN"


@pytest.mark.parametrize(
    ("rows", "mode"),
    [
        (("NVIDIA H100 80GB HBM3, 700.00",), "700 W"),
        (("NVIDIA H100 80GB HBM3, 500.00",), "500 W"),
        (("NVIDIA T400, 30.00", "NVIDIA H100 80GB HBM3, 700.00"), "700 W"),
        (("NVIDIA H100 80GB HBM3, 700.00", "NVIDIA H100 80GB HBM3, 700.00"), "700 W"),
        (("NVIDIA H100 80GB HBM3, 700.00", "NVIDIA H100 80GB HBM3, 500.00"), "unknown"),
        (("NVIDIA H100 80GB HBM3, [N/A]",), "unknown"),
        (("NVIDIA H100 PCIe, 350.00",), "unknown"),
        ((), "unknown"),
    ],
)
def test_a_board_with_a_limit_says_the_limit(program, rows: tuple[str, ...], mode: str):
    program("nvidia-smi", *rows)
    assert power_mode(load_target("h100-sxm")) == mode


@pytest.mark.parametrize(("name", "target"), [("nvpmodel", "thor"), ("nvidia-smi", "h100-nvl")])
def test_programs_that_fail_or_are_missing_leave_it_unknown(program, name: str, target: str):
    assert power_mode(load_target(target)) == "unknown"
    program(name, "NV Power Mode: MAXN", code=3)
    assert power_mode(load_target(target)) == "unknown"


def test_what_cannot_be_changed_needs_no_asking(program):
    assert power_mode(load_target("spark")) == "system limit"
    assert power_mode(load_target("cpu")) == "none"
