"""Whole machines, replayed: the same report to the byte, and where each part comes from."""

import pytest

from tests.deploy.doctor.golden import CASES, GOLDENS, golden_path, kept, report_of
from tests.deploy.doctor.recorded_host import MACHINES, load_machine, machine_names
from trt_nemotron.deploy.doctor.values import DoctorReport
from trt_nemotron.document import read_document, to_json


@pytest.mark.parametrize(("machine", "target", "runtime"), CASES)
def test_report_is_the_one_kept(machine: str, target: str, runtime: str):
    report = kept(report_of(load_machine(machine), target, runtime))
    assert to_json(report).decode() == golden_path(machine, target, runtime).read_text()


@pytest.mark.parametrize(("machine", "target", "runtime"), CASES)
def test_report_is_read_back_as_it_was(machine: str, target: str, runtime: str):
    path = golden_path(machine, target, runtime)
    assert to_json(read_document(path, DoctorReport)) == path.read_bytes()


def test_no_report_is_kept_of_a_machine_that_is_gone():
    assert {path.name for path in GOLDENS.iterdir()} == {golden_path(*it).name for it in CASES}
    assert {machine for machine, _, _ in CASES} == set(machine_names())


@pytest.mark.parametrize("name", machine_names())
def test_every_machine_says_where_it_comes_from(name: str):
    source = (MACHINES / name / "SOURCE.md").read_text()
    assert "https://" in source or "tests.deploy.doctor.record" in source
    assert "Assembled" in source or "Left out" in source


@pytest.mark.parametrize("name", machine_names())
def test_no_serial_number_is_kept(name: str):
    for path in (MACHINES / name).rglob("*"):
        assert not path.is_file() or "SERIAL" not in path.read_text().upper().replace(
            "SERIAL NUMBER AND COMMIT LEFT OUT", ""
        )


@pytest.mark.parametrize(
    ("machine", "failed"),
    [
        ("spark", set()),
        ("thor", set()),
        ("h100-sxm-busy", {"driver-version", "gpu-in-containers"}),
        ("h100-nvl-no-driver", {"driver-answers", "engine", "disk"}),
    ],
)
def test_failures_are_those_of_the_machine(machine: str, failed: set[str]):
    target = next(target for name, target, _ in CASES if name == machine)
    assert {it.id for it in report_of(load_machine(machine), target).having("fail")} == failed
