"""What other programs may rely on: the schemas shipped in `ci/schemas/`."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from trt_nemotron.document import to_json
from trt_nemotron.measure.gate.budget import AbsoluteBound, Budget, RelativeBound
from trt_nemotron.measure.gate.judge import judge

CI = Path(__file__).parents[2] / "ci"


def validator(name: str) -> jsonschema.Draft202012Validator:
    schema = json.loads((CI / "schemas" / f"{name}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("path", sorted((CI / "budgets").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_budget_obeys(path: Path):
    assert not list(validator("budget").iter_errors(yaml.safe_load(path.read_text())))


def test_a_verdict_obeys_and_a_changed_one_does_not(make_measurement):
    budget = Budget(
        target="cpu",
        bounds=(AbsoluteBound(metric="tpot_p50_ms", concurrency=1, at_most=5.0),),
        relative=(
            RelativeBound(metric="ttft_p50_ms", concurrency=1, worse_by_at_most_percent=5.0),
        ),
    )
    verdict = json.loads(to_json(judge(budget, make_measurement())))
    assert not list(validator("verdict").iter_errors(verdict))
    assert list(validator("verdict").iter_errors({**verdict, "decision": "fine"}))
    assert list(validator("verdict").iter_errors({**verdict, "schema": "trt-nemotron/verdict/2"}))


def test_the_changelog_obeys():
    text = re.sub(r"date: (\S+)", r"date: '\1'", (CI / "perf-changelog.yaml").read_text())
    assert not list(validator("perf-changelog").iter_errors(yaml.safe_load(text)))
