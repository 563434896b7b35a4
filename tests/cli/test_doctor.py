import json
from pathlib import Path

import pytest

from trt_nemotron.cli.main import run

SPARK_SMI = """
case "$1" in
--query-gpu=name*) echo "NVIDIA GB10, 580.126.09, 12.1, [N/A], [N/A]" ;;
--query-gpu=mig*) echo "[N/A], [N/A], [N/A], 208, 3003, 0, 0x0000000000000001" ;;
esac
"""


def doctor(*arguments: str) -> int:
    return run(["doctor", *arguments])


@pytest.fixture
def bare_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH on which nothing is; programs of a test may be put there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


def put(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.mark.usefixtures("bare_path")
def test_json_is_the_report_and_nothing_else(capsys: pytest.CaptureFixture[str]):
    assert doctor("--target", "spark", "--json") == 1
    out, err = capsys.readouterr()
    assert err == ""
    report = json.loads(out)
    assert report["schema"] == "trt-nemotron/doctor-report/1"
    assert report["target"] == "spark"
    findings = {finding["id"]: finding for finding in report["findings"]}
    assert findings["driver-answers"]["status"] == "fail"
    assert findings["driver-answers"]["remedy"]


@pytest.mark.usefixtures("bare_path")
def test_people_see_what_is_wrong_and_what_to_do(capsys: pytest.CaptureFixture[str]):
    assert doctor("--target", "spark") == 1
    out, err = capsys.readouterr()
    assert "✗  driver-answers" in out
    assert "→ Install the board's driver" in out
    assert "not for this target" in out
    assert "error: this machine is not fit for spark" in err
    assert "driver-answers" in err


def test_a_machine_without_a_board_is_examined_as_a_computer(
    bare_path: Path, capsys: pytest.CaptureFixture[str]
):
    pytest.importorskip("xllamacpp")
    assert doctor("--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["target"], report["detected"]) == ("cpu", "cpu")
    assert "no board is seen" in report["detection"]


def test_the_board_there_is_names_the_target(bare_path: Path, capsys: pytest.CaptureFixture[str]):
    put(bare_path, "nvidia-smi", SPARK_SMI)
    assert doctor("--json") == 1  # no container engine on this PATH
    report = json.loads(capsys.readouterr().out)
    assert report["target"] == "spark"
    assert report["detection"] == "nvidia-smi shows NVIDIA GB10"
    findings = {finding["id"]: finding for finding in report["findings"]}
    assert findings["board"]["status"] == "ok"
    assert findings["compute-capability"]["status"] == "ok"


def test_a_family_is_the_board_of_this_machine(bare_path: Path, capsys: pytest.CaptureFixture[str]):
    row = "NVIDIA H100 PCIe, 580.82.07, 9.0, 81559, 81000"
    put(bare_path, "nvidia-smi", f'case "$1" in --query-gpu=name*) echo "{row}" ;; esac')
    doctor("--target", "h100", "--json")
    assert json.loads(capsys.readouterr().out)["target"] == "h100-pcie"


@pytest.mark.usefixtures("bare_path")
def test_a_family_without_a_board_has_to_be_named(capsys: pytest.CaptureFixture[str]):
    assert doctor("--target", "h100") == 2
    assert "h100-nvl, h100-pcie, h100-sxm" in capsys.readouterr().err


@pytest.mark.usefixtures("bare_path")
def test_strict_takes_warnings_for_failures(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("xllamacpp")
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "0")
    assert doctor("--target", "cpu") == 0
    assert doctor("--target", "cpu", "--strict") == 1
    assert "mpi-variables" in capsys.readouterr().err


@pytest.mark.usefixtures("bare_path")
def test_values_of_variables_are_not_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HF_TOKEN", "hf_NoRealToken0000")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:pass-word@proxy.example:3128")
    doctor("--target", "spark", "--json")
    out = capsys.readouterr().out
    assert "HF_TOKEN is set" in out
    for word in ("hf_NoReal", "pass-word", "proxy.example"):
        assert word not in out


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--target", "toaster"], "toaster"),
        (["--target", "cpu", "--runtime", "trtllm"], "trtllm"),
        (["--target", "spark", "--release", "9.9"], "9.9"),
        (["--bundle", "nowhere"], "nowhere"),
        (["--port", "70000"], "70000"),
    ],
)
@pytest.mark.usefixtures("bare_path")
def test_what_nobody_knows_is_refused(
    arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]
):
    assert doctor(*arguments) in {2, 10}
    assert word in capsys.readouterr().err


def test_what_programs_say_does_not_steer_the_terminal(
    bare_path: Path, capsys: pytest.CaptureFixture[str]
):
    put(bare_path, "nvidia-smi", r"printf 'NVIDIA \033[2J, 1.1, 12.1, 1, 1\n'")
    doctor("--target", "spark")
    assert "\x1b" not in capsys.readouterr().out


def test_a_bundle_brings_its_target_and_plan(
    tmp_path: Path, bare_path: Path, capsys: pytest.CaptureFixture[str]
):
    pytest.importorskip("xllamacpp")
    bundle = tmp_path / "bundle"
    assert run(["build", "--target", "cpu", "--out", str(bundle), "--json"]) == 0
    capsys.readouterr()
    assert doctor("--bundle", str(bundle), "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["target"] == "cpu"
    memory = next(it for it in report["findings"] if it["id"] == "memory")
    assert "the plan takes" in memory["evidence"]
    assert doctor("--bundle", str(bundle), "--target", "spark") == 2
    assert "the bundle is for cpu" in capsys.readouterr().err
    assert list(bare_path.iterdir()) == []
