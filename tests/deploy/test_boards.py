import os
from pathlib import Path

import pytest

from trt_nemotron.deploy.boards import detect_target, product_names, resolve_target
from trt_nemotron.deploy.doctor.host import LocalHost
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


class Machine(LocalHost):
    """This machine's shape with the files of another."""

    def __init__(self, **files: str) -> None:
        self.files = files

    def read(self, path: str) -> str | None:
        return self.files.get(path)

    def listing(self, path: str) -> tuple[str, ...]:
        names = (file.removeprefix(f"{path}/") for file in self.files if file.startswith(path))
        return tuple(sorted({name.split("/")[0] for name in names}))


@pytest.mark.parametrize(
    ("shown", "target"),
    [
        (["NVIDIA GB10"], "spark"),
        (["NVIDIA Thor"], "thor"),
        (["NVIDIA H100 NVL"] * 8, "h100-nvl"),
        (["NVIDIA GeForce RTX 4090"], "cpu"),
        (["NVIDIA GeForce RTX 4090", "NVIDIA H100 PCIe"], "h100-pcie"),
    ],
)
def test_machine_is_known_by_what_its_driver_shows(shown: list[str], target: str):
    seen = detect_target(shown, Machine())
    assert seen.target == target
    assert shown[0] in seen.evidence


@pytest.mark.parametrize(
    ("files", "target"),
    [
        ({"/proc/device-tree/model": "NVIDIA Jetson AGX Thor Developer Kit\0"}, "thor"),
        ({"/etc/dgx-release": 'DGX_NAME="DGX Spark"\nDGX_SWBUILD_VERSION="7.2.3"\n'}, "spark"),
        ({"/sys/class/dmi/id/product_name": "NVIDIA_DGX_Spark\n"}, "spark"),
        (
            {
                "/sys/bus/pci/devices/0000:01:00.0/vendor": "0x10de\n",
                "/sys/bus/pci/devices/0000:01:00.0/device": "0x2330\n",
            },
            "h100-sxm",
        ),
        ({"/proc/device-tree/model": "NVIDIA Jetson AGX Orin Developer Kit\0"}, "cpu"),
        ({"/etc/dgx-release": 'DGX_NAME="DGX Station"\n'}, "cpu"),
        (
            {
                "/sys/bus/pci/devices/0000:01:00.0/vendor": "0x8086\n",
                "/sys/bus/pci/devices/0000:01:00.0/device": "0x2330\n",
            },
            "cpu",
        ),
    ],
)
def test_machine_without_a_driver_is_known_by_its_files(files: dict[str, str], target: str):
    assert detect_target((), Machine(**files)).target == target


def test_boards_of_two_targets_have_to_be_named():
    with pytest.raises(InvalidInput, match="several targets") as fault:
        detect_target(["NVIDIA H100 PCIe", "NVIDIA GB10"], Machine())
    assert "--target: h100-pcie, spark" in fault.value.next_step


def test_machine_is_asked_when_nobody_says_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "nvidia-smi").write_text('#!/bin/sh\necho "NVIDIA Thor"\n')
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert detect_target().target == "thor"
