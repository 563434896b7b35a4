import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from trt_nemotron.facts.location import budgets_folder, data_root, engine_configs

PROGRAM = (
    "from trt_nemotron.facts.location import data_root, budgets_folder;"
    "print(data_root()); print(budgets_folder())"
)


def locate(site: Path) -> list[str]:
    """What an installation in `site` says, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", PROGRAM],
        cwd=site,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return (done.stdout or done.stderr).splitlines()


@pytest.fixture
def site(tmp_path: Path, repository: Path) -> Path:
    """A folder of installed packages with only what locating needs."""
    package = tmp_path / "site" / "trt_nemotron"
    for name in ("__init__.py", "errors.py", "facts/__init__.py", "facts/location.py"):
        target = package / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(repository / "trt_nemotron" / name, target)
    return package.parent


def test_checkout_is_its_own_data_root(repository: Path):
    assert data_root() == repository
    assert engine_configs() == repository / "engine_configs"
    assert budgets_folder() == repository / "ci" / "budgets"


def test_wheel_finds_the_data_inside_itself(site: Path):
    data = site / "trt_nemotron" / "_data"
    (data / "engine_configs" / "targets").mkdir(parents=True)
    assert locate(site) == [str(data), str(data / "ci" / "budgets")]


def test_foreign_folder_beside_an_installed_package_is_not_taken(site: Path):
    data = site / "trt_nemotron" / "_data"
    (data / "engine_configs" / "targets").mkdir(parents=True)
    (site / "engine_configs" / "targets").mkdir(parents=True)
    assert locate(site)[0] == str(data)


def test_installation_without_data_says_where_it_looked(site: Path):
    said = "\n".join(locate(site))
    assert "this installation of trt-nemotron has no data files" in said
    assert str(site / "trt_nemotron" / "_data") in said
