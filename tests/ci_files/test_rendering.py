import re
import string
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.ci_files.providers import PROVIDERS
from trt_nemotron.ci_files.rendering import Choices, read_template, render
from trt_nemotron.errors import InvalidInput

SPARK = Choices(target="spark", runner_label="a-spark", budget="ci/budgets/spark.yaml")
GITHUB = PROVIDERS["github"]


def written(provider: str, choices: Choices = SPARK) -> dict[str, str]:
    return {Path(file.path).name: file.text for file in render(PROVIDERS[provider], choices)}


def test_the_examples_are_what_the_templates_give(
    repository: Path, monkeypatch: pytest.MonkeyPatch
):
    """`python tools/render_ci.py` writes them anew."""
    monkeypatch.syspath_prepend(str(repository / "tools"))
    sys.modules.pop("render_ci", None)
    from render_ci import examples  # type: ignore[import-not-found]

    for place, text in examples():
        assert place.read_text() == text, f"{place}: python tools/render_ci.py"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_token_is_left(provider: str):
    for text in written(provider).values():
        assert not re.search(r"@[A-Z_]+@|@STEP", text)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_provider_runs_the_same_steps(provider: str):
    text = "".join(written(provider).values())
    for step in ("tool", "changelog", "check", "conclude"):
        script = (
            Path(read_template.__code__.co_filename).parent / f"templates/steps/{step}.sh"
        ).read_text()
        for line in script.splitlines():
            assert line.strip() in text


def scripts(node: object) -> list[str]:
    if isinstance(node, dict):
        own = [node["run"]] if isinstance(node.get("run"), str) else []
        return own + [script for value in node.values() for script in scripts(value)]
    if isinstance(node, list):
        return [script for value in node for script in scripts(value)]
    return []


def github_files(repository: Path) -> dict[str, str]:
    own = {path.name: path.read_text() for path in (repository / ".github/workflows").glob("*.yml")}
    return {**written("github"), **own}


def test_no_expression_is_pasted_into_a_script(repository: Path):
    for name, text in github_files(repository).items():
        found = scripts(yaml.safe_load(text))
        assert all("${{" not in script for script in found), name


def test_every_foreign_action_is_pinned_by_commit_with_its_tag(repository: Path):
    for name, text in github_files(repository).items():
        for line in re.findall(r"uses: (.*)", text):
            assert line.startswith("./") or re.fullmatch(
                r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line
            ), f"{name}: {line}"


def test_workflows_have_no_permission_but_those_a_job_names(repository: Path):
    for name, text in github_files(repository).items():
        tree = yaml.safe_load(text)
        if "jobs" not in tree:
            continue
        assert tree["permissions"] == {}, name
        for job in tree["jobs"].values():
            assert "permissions" in job
            assert "timeout-minutes" in job or "uses" in job
            granted = {f"{what}: {how}" for what, how in job["permissions"].items()}
            assert granted <= {"contents: read", "pull-requests: write"}
            if "pull-requests: write" in granted:
                assert job["runs-on"] == "ubuntu-latest"
                assert not any("checkout" in step.get("uses", "") for step in job["steps"])


def test_a_device_is_guarded_twice():
    gate = yaml.safe_load(written("github")["trt-nemotron-gate.yml"])["jobs"]["gate"]
    assert "inputs.runner" in gate["concurrency"]["group"]
    assert gate["concurrency"]["cancel-in-progress"] is False
    gitlab = yaml.safe_load(written("gitlab")["trt-nemotron.gitlab-ci.yml"])
    assert gitlab["trt-nemotron-gate"]["resource_group"] == "trt-nemotron-device-a-spark"
    jenkins = written("jenkins")["trt-nemotron.Jenkinsfile"]
    assert "lock(resource: 'trt-nemotron-device-a-spark')" in jenkins
    for text in (written("github")["action.yml"], jenkins, str(gitlab)):
        assert "flock --wait" in text


PLAIN = string.ascii_letters + string.digits + "._~+[],=<>:/ -"


@given(package=st.text(PLAIN, max_size=30), store=st.text(PLAIN, max_size=30))
def test_what_is_accepted_arrives_as_it_was_given(package: str, store: str):
    choices = Choices(
        target="spark", runner_label="a", budget="b.yaml", package=package, baseline_store=store
    )
    called = yaml.safe_load(written("github", choices)["trt-nemotron.yml"])["jobs"]["gate"]["with"]
    assert (called["package"], called["baseline-store"]) == (package, store)
    gitlab = yaml.safe_load(written("gitlab", choices)["trt-nemotron.gitlab-ci.yml"])
    variables = gitlab["trt-nemotron-gate"]["variables"]
    assert (variables["GATE_PACKAGE"], variables["GATE_BASELINE_STORE"]) == (package, store)


@pytest.mark.parametrize("mark", ["'", '"', "$", "`", "\\", "\n", "@", "{", "%", "#", "&", "é"])
@pytest.mark.parametrize("field", ["target", "runner_label", "budget", "package", "baseline_store"])
def test_what_could_end_a_string_is_refused(mark: str, field: str):
    given = {"target": "spark", "runner_label": "a", "budget": "b.yaml", field: f"x{mark}y"}
    with pytest.raises(InvalidInput, match="cannot stand in a CI file"):
        Choices(**given)
