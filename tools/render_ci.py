"""Write `ci/github`, `ci/gitlab` and `ci/jenkins`: what `trt-nemotron ci init` writes for a Spark.

    python tools/render_ci.py

They stand there to be read, and `ci/github` is an action that can be used as it is. A test holds
them equal to what the templates give.
"""

from collections.abc import Iterator
from pathlib import Path

from trt_nemotron.ci_files.providers import PROVIDERS
from trt_nemotron.ci_files.rendering import Choices, render
from trt_nemotron.document import write_atomically

ROOT = Path(__file__).resolve().parent.parent
SPARK = Choices(target="spark", runner_label="trt-nemotron-spark", budget="ci/budgets/spark.yaml")
NAMES = {".github/workflows/trt-nemotron-gate.yml": "gate.yml"}


def examples() -> Iterator[tuple[Path, str]]:
    """Every file with its text."""
    for provider in PROVIDERS.values():
        for file in render(provider, SPARK):
            name = NAMES.get(file.path, Path(file.path).name)
            yield ROOT / "ci" / provider.name / name, file.text


if __name__ == "__main__":
    for place, text in examples():
        write_atomically(place, text.encode())
