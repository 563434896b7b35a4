"""`gate --bundle`: what the last start of a real bundle showed, judged with the run it served."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.cli.conftest import measured
from trt_nemotron.cli.main import run
from trt_nemotron.deploy.bundle.reader import read_bundle
from trt_nemotron.deploy.bundle.values import OBSERVED_NAME
from trt_nemotron.deploy.observed import observe
from trt_nemotron.deploy.runtimes.catalogue import get_runtime
from trt_nemotron.document import write_document
from trt_nemotron.measure.bench.replay import write_measurement

BUDGET = """schema: trt-nemotron/budget/1
target: cpu
bounds:
  - {metric: startup_s, at_most: 30}
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "bundle"
    assert run(["build", "--target", "cpu", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def gate(built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Exit code, the one result and what people are told, of a start of that many seconds."""
    (built / OBSERVED_NAME).unlink(missing_ok=True)
    (tmp_path / "budget.yaml").write_text(BUDGET)

    def judge(
        ready_s: float | None = None, *, damage: str = "", other: bool = False
    ) -> tuple[int, dict[str, Any], str]:
        manifest, plan = read_bundle(built)
        made = measured(model=manifest.served_model_name)
        sha256 = "00" * 32 if other else manifest.configuration_sha256
        environment = msgspec.structs.replace(made.environment, configuration_sha256=sha256)
        kept = msgspec.structs.replace(made, environment=environment)
        write_measurement(tmp_path / "run.json", kept)
        if ready_s is not None:
            start = observe(plan, manifest, "", get_runtime("llamacpp"), ready_s=ready_s)
            write_document(built / OBSERVED_NAME, start)
        if damage:
            (built / OBSERVED_NAME).write_text(damage)
        words = ["gate", str(tmp_path / "run.json"), "--budget", str(tmp_path / "budget.yaml")]
        capsys.readouterr()
        code = run([*words, "--bundle", str(built), "--json"])
        printed = capsys.readouterr()
        (result,) = json.loads(printed.out)["results"]
        return code, result, printed.err

    return judge


@pytest.mark.parametrize(
    ("ready_s", "code", "decision"), [(29.5, 0, "pass"), (30.0, 0, "pass"), (30.5, 1, "fail")]
)
def test_the_last_start_is_what_is_judged(gate, ready_s: float, code: int, decision: str):
    found, result, _ = gate(ready_s)
    assert (found, result["decision"], result["figure"]) == (code, decision, ready_s)
    assert result["metric"] == "startup_s"


def test_a_bundle_that_was_never_started_is_no_pass(gate):
    code, result, _ = gate()
    assert (code, result["decision"]) == (4, "invalid")
    assert "nothing that a start of the server showed" in result["reason"]


def test_a_start_that_cannot_be_read_is_told_and_no_pass(gate):
    code, result, told = gate(damage="{}")
    assert (code, result["decision"]) == (4, "invalid")
    assert f"{OBSERVED_NAME} cannot be read" in " ".join(told.split())


def test_a_start_of_another_configuration_than_the_runs_is_no_pass(gate):
    code, result, _ = gate(5.0, other=True)
    assert (code, result["decision"]) == (4, "invalid")
    assert "the run of 000000000000" in result["reason"]
