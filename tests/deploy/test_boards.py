import os
from pathlib import Path

import pytest

from trt_nemotron.deploy.boards import product_names, resolve_target
from trt_nemotron.errors import InvalidInput


def nobody() -> tuple[str, ...]:
    raise AssertionError("nothing had to be asked")


@pytest.mark.parametrize(
    ("shown", "target"),
    [
        ("NVIDIA H100 80GB HBM3", "h100-sxm"),
        ("NVIDIA H100 PCIe", "h100-pcie"),
        ("NVIDIA H100 NVL", "h100-nvl"),
    ],
)
def test_board_is_told_by_its_product_name(shown: str, target: str):
    assert resolve_target("h100", lambda: (shown, shown)) == target


@pytest.mark.parametrize("name", ["h100-sxm", "spark", "cpu", "no-such-target"])
def test_names_that_need_no_asking_ask_nothing(name: str):
    assert resolve_target(name, nobody) == name


@pytest.mark.parametrize(
    ("shown", "evidence"),
    [
        ((), "nvidia-smi shows no board"),
        (("NVIDIA GeForce RTX 4090",), "NVIDIA GeForce RTX 4090"),
        (("NVIDIA H100 PCIe", "NVIDIA H100 NVL"), "NVIDIA H100 NVL, NVIDIA H100 PCIe"),
    ],
)
def test_doubt_names_the_three_boards(shown: tuple[str, ...], evidence: str):
    with pytest.raises(InvalidInput) as fault:
        resolve_target("h100", lambda: shown)
    assert evidence in fault.value.evidence
    for name in ("h100-nvl", "h100-pcie", "h100-sxm"):
        assert name in fault.value.next_step


def test_driver_is_asked_through_its_own_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    program = tmp_path / "nvidia-smi"
    program.write_text('#!/bin/sh\n[ "$1" = --query-gpu=name ] && echo "NVIDIA H100 PCIe"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert product_names() == ("NVIDIA H100 PCIe",)
    assert resolve_target("h100") == "h100-pcie"


@pytest.mark.parametrize("text", ["#!/bin/sh\nexit 9\n", ""])
def test_driver_that_fails_shows_no_board(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
):
    if text:
        (tmp_path / "nvidia-smi").write_text(text)
        (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert product_names() == ()


def test_no_name_means_no_family():
    assert resolve_target("", lambda: ("NVIDIA H100 80GB HBM3",)) == ""
