"""Where the facts and budgets lie: beside the package in a checkout, inside it in a wheel."""

from pathlib import Path

import trt_nemotron
from trt_nemotron.errors import EnvironmentUnfit

ENGINE_CONFIGS = "engine_configs"
BUDGETS = "ci/budgets"


def data_root() -> Path:
    """The folder that holds `engine_configs/` and `ci/budgets/`.

    A checkout is asked first, so that an edited fact counts at once.

    Raises:
        EnvironmentUnfit: the package was installed without its data.
    """
    package = Path(trt_nemotron.__file__).resolve().parent
    candidates = (package.parent, package / "_data")
    for candidate in candidates:
        if _is_data_root(candidate, package):
            return candidate
    raise EnvironmentUnfit(
        "this installation of trt-nemotron has no data files",
        evidence="looked in " + ", ".join(str(candidate) for candidate in candidates),
        next_step="Install it again: pip install --force-reinstall trt-nemotron",
    )


def engine_configs() -> Path:
    """The folder of targets, models and runtime releases."""
    return data_root() / ENGINE_CONFIGS


def budgets_folder() -> Path:
    """The folder of the shipped latency budgets."""
    return data_root() / BUDGETS


def _is_data_root(candidate: Path, package: Path) -> bool:
    """Site-packages may hold a foreign `engine_configs/`: a checkout also has our project file."""
    if not (candidate / ENGINE_CONFIGS / "targets").is_dir():
        return False
    return candidate.is_relative_to(package) or (candidate / "pyproject.toml").is_file()
