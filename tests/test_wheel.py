"""The wheel carries all that the program needs, and runs from wherever it is unpacked."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built with this environment's own build backend: no network, nothing into the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=repository, check=True, capture_output=True, timeout=120)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def files_below(folder: Path) -> Iterator[str]:
    """Names relative to the folder, without what Python and editors leave there."""
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and "__pycache__" not in name and not path.name.startswith("."):
            yield name


def test_every_file_of_the_package_is_in_the_wheel(repository: Path, wheel: Path):
    wanted = {f"trt_nemotron/{name}" for name in files_below(repository / "trt_nemotron")}
    assert wanted <= set(zipfile.ZipFile(wheel).namelist())


@pytest.mark.parametrize("folder", ["engine_configs", "ci/budgets"])
def test_facts_and_budgets_are_in_the_wheel(folder: str, repository: Path, wheel: Path):
    wanted = {f"trt_nemotron/_data/{folder}/{name}" for name in files_below(repository / folder)}
    assert wanted
    assert wanted <= set(zipfile.ZipFile(wheel).namelist())


def test_tests_and_tools_are_not_in_the_wheel(wheel: Path):
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"trt_nemotron"}


def run_unpacked(unpacked: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The unpacked program, away from the checkout, which is taken out of the path."""
    script = (
        "import sys; sys.path[:] = [p for p in sys.path if p != sys.argv[1]]; sys.path.insert(0,"
        " sys.argv[2]); import trt_nemotron; assert trt_nemotron.__file__.startswith(sys.argv[2]);"
        " from trt_nemotron.cli.main import main; main(sys.argv[3:])"
    )
    checkout = str(Path(__file__).resolve().parent.parent)
    return subprocess.run(
        [sys.executable, "-c", script, checkout, str(unpacked), *arguments],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(unpacked)},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_unpacked_wheel_plans(unpacked: Path, tmp_path: Path):
    done = run_unpacked(unpacked, tmp_path, "plan", "--target", "cpu", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["target"] == "cpu"


def test_unpacked_wheel_checks_with_its_own_data(unpacked: Path, tmp_path: Path):
    """Its guard, its shims and its client's own server are started as files from there."""
    pytest.importorskip("xllamacpp")
    done = run_unpacked(unpacked, tmp_path, "check", "--target", "cpu", "--out", "out", "--json")
    record = json.loads(done.stdout)
    assert [stage["status"] for stage in record["stages"][:5]] == ["done"] * 5, done.stderr
    assert (tmp_path / "out" / "report.html").is_file()
