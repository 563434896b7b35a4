"""The machine that the tests run on, asked for real."""

import ctypes
import os
import socket
import struct
import sys
from pathlib import Path

import pytest

from tests.deploy.doctor.record import FOLDERS
from trt_nemotron.deploy.doctor.examine import examine
from trt_nemotron.deploy.doctor.host import LocalHost
from trt_nemotron.deploy.doctor.order import Folders, make_order
from trt_nemotron.deploy.doctor.values import Status
from trt_nemotron.facts.catalogue import load_target


def put_on_path(folder: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def statuses_for(target: str, folders: Folders = FOLDERS, port: int = 0) -> dict[str, Status]:
    report = examine(make_order(load_target(target), folders, port=port), LocalHost())
    return {finding.id: finding.status for finding in report.findings}


def test_this_machine_is_fit_for_the_processor(tmp_path: Path):
    if not LocalHost().has_module("xllamacpp"):
        pytest.skip("the extra llamacpp is not installed")
    here = Folders(work=str(tmp_path), state=str(tmp_path / "a" / "b"), cache=str(tmp_path))
    failed = [name for name, status in statuses_for("cpu", here).items() if status == "fail"]
    assert failed == []


def test_this_machine_is_no_spark_and_it_is_said_why():
    if LocalHost().has_program("nvidia-smi"):
        pytest.skip("a machine with NVIDIA's driver")
    statuses = statuses_for("spark")
    for name in ("board", "driver-answers", "gpu-in-containers"):
        assert statuses[name] in {"fail", "unknown"}
    assert statuses["board"] == "fail"
    assert statuses["compute-capability"] == "unknown"
    assert (statuses["architecture"] == "fail") == (LocalHost().architecture() != "aarch64")


def test_a_taken_port_is_found_and_named():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        fault = LocalHost().port_fault(port)
        assert str(port) in fault
        assert str(os.getpid()) in fault
        assert statuses_for("cpu", port=port)["port"] == "fail"
    assert LocalHost().port_fault(port) == ""


def test_a_program_s_words_and_code_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    put_on_path(tmp_path, "nvpmodel", "echo out; echo err >&2; exit 3", monkeypatch)
    answer = LocalHost().run(("nvpmodel", "-q"))
    assert (answer.fault, answer.exit_code) == ("", 3)
    assert (answer.output, answer.errors) == ("out\n", "err\n")
    assert not answer.is_good


def test_a_program_that_is_not_there_is_missing():
    answer = LocalHost().run(("no-such-program-at-all",))
    assert answer.fault == "missing"


def test_a_program_that_cannot_be_started_is_no_exception(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    put_on_path(tmp_path, "nvidia-ctk", "", monkeypatch)
    (tmp_path / "nvidia-ctk").write_bytes(b"\x7fELF nonsense")
    answer = LocalHost().run(("nvidia-ctk", "--version"))
    assert not answer.is_good


@pytest.mark.slow
def test_a_program_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    put_on_path(tmp_path, "nvidia-smi", "sleep 600", monkeypatch)
    monkeypatch.setattr("trt_nemotron.deploy.doctor.host.TIMEOUT_S", 0.5)
    report = examine(make_order(load_target("thor"), FOLDERS), LocalHost())
    answers = {it.id: it for it in report.findings}["driver-answers"]
    assert answers.status == "fail"
    assert "took longer" in answers.evidence


def test_a_program_gets_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    put_on_path(tmp_path, "nvpmodel", 'echo "[$HF_TOKEN]"', monkeypatch)
    monkeypatch.setenv("HF_TOKEN", "hf_NoRealToken0000")
    assert LocalHost().run(("nvpmodel", "-q")).output == "[]\n"


def test_disks_are_those_of_the_nearest_folder_that_exists(tmp_path: Path):
    host = LocalHost()
    here, there = host.disk(str(tmp_path)), host.disk(str(tmp_path / "not" / "yet"))
    assert here is not None
    assert there is not None
    assert here.device == there.device
    assert 0 < here.free_bytes <= here.total_bytes


def test_a_file_cannot_be_written_into(tmp_path: Path):
    (tmp_path / "file").write_text("")
    assert LocalHost().can_write(str(tmp_path / "folder" / "deeper"))
    assert not LocalHost().can_write(str(tmp_path / "file"))
    assert not LocalHost().can_write(str(tmp_path / "file" / "below"))


def test_files_that_are_not_there_or_no_files_are_none(tmp_path: Path):
    assert LocalHost().read(str(tmp_path)) is None
    assert LocalHost().read(str(tmp_path / "none")) is None
    assert LocalHost().listing(str(tmp_path / "none")) == ()
    (tmp_path / "bytes").write_bytes(b"\xff\xfe text")
    assert "text" in (LocalHost().read(str(tmp_path / "bytes")) or "")


@pytest.mark.skipif(
    sys.platform != "linux" or struct.calcsize("l") != 8, reason="the layout of struct timex"
)
def test_the_clock_is_synchronised_when_the_kernel_s_own_bit_says_so():
    timex = ctypes.create_string_buffer(512)
    ctypes.CDLL(None).adjtimex(timex)
    (status,) = struct.unpack_from("i", timex, 40)  # STA_UNSYNC is 0x40
    assert LocalHost().is_clock_synchronised() is (status & 0x40 == 0)


def test_the_clocks_answer():
    host = LocalHost()
    assert host.is_clock_synchronised() in {True, False, None}
    assert 0 < host.clock_resolution_s() < 1
    assert host.stamps_packets() in {True, False, None}
