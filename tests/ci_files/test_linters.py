"""The real linters over what is written: actionlint, zizmor, the published schemas, ShellCheck."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from trt_nemotron.ci_files import rendering
from trt_nemotron.ci_files.providers import PROVIDERS
from trt_nemotron.ci_files.rendering import Choices, render

pytestmark = pytest.mark.slow

SPARK = Choices(target="spark", runner_label="a-spark", budget="ci/budgets/spark.yaml")
STEPS = Path(rendering.__file__).parent / "templates" / "steps"


def run(*command: str | Path, folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def user(tmp_path: Path) -> Path:
    """A repository with the files of every provider."""
    run("git", "init", "--quiet", folder=tmp_path)
    for provider in PROVIDERS.values():
        for file in render(provider, SPARK):
            (tmp_path / file.path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file.path).write_text(file.text)
    return tmp_path


def test_actionlint(user: Path, repository: Path, linter: Callable[[str], str]):
    """It reads the local action's inputs as well and runs ShellCheck over every script."""
    tools = ("-shellcheck", linter("shellcheck"))
    for folder in (user, repository):
        run(
            linter("actionlint"),
            *tools,
            *(folder / ".github/workflows").glob("*.yml"),
            folder=folder,
        )


def test_actionlint_does_find_what_is_wrong(user: Path, linter: Callable[[str], str]):
    workflow = user / ".github/workflows/trt-nemotron-gate.yml"
    broken = workflow.read_text().replace("budget: ${{ inputs.budget }}", "budgets: x")
    workflow.write_text(broken)
    with pytest.raises(AssertionError, match="budgets"):
        run(linter("actionlint"), workflow, folder=user)


def test_zizmor(user: Path, repository: Path, linter: Callable[[str], str]):
    """Security: injection, permissions, pins, credentials, dangerous triggers."""
    config = repository / ".github" / "zizmor.yml"
    for folder in (
        user / ".github",
        repository / ".github",
        repository / "ci" / "github" / "action.yml",
    ):
        run(
            linter("zizmor"), "--offline", "--quiet", "--persona", "pedantic", "--config", config,
            folder, folder=user,
        )  # fmt: skip


def test_zizmor_does_find_an_injection(user: Path, linter: Callable[[str], str]):
    action = user / ".github/actions/trt-nemotron-gate/action.yml"
    action.write_text(action.read_text().replace('"$GATE_PROFILE"', "${{ inputs.profile }}"))
    with pytest.raises(AssertionError, match="template-injection"):
        run(linter("zizmor"), "--offline", action, folder=user)


def test_published_schemas(user: Path, repository: Path, linter: Callable[[str], str]):
    check = linter("check-jsonschema")
    workflows = [
        *(user / ".github/workflows").glob("*"),
        *(repository / ".github/workflows").glob("*"),
    ]
    run(check, "--builtin-schema", "vendor.github-workflows", *workflows, folder=user)
    action = user / ".github/actions/trt-nemotron-gate/action.yml"
    run(check, "--builtin-schema", "vendor.github-actions", action, folder=user)
    gitlab = user / "ci/trt-nemotron.gitlab-ci.yml"
    run(
        check, "--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci", gitlab,
        folder=user,
    )  # fmt: skip


@pytest.mark.parametrize("step", sorted(STEPS.glob("*.sh")), ids=lambda path: path.stem)
def test_steps_are_portable_shell(step: Path, linter: Callable[[str], str]):
    """POSIX: GitLab's and Jenkins' `sh` need not be bash. What others set is not theirs to set."""
    run(linter("shellcheck"), "--shell=sh", "--exclude=SC2034,SC2154", step, folder=step.parent)


def test_gitlab_script_as_a_whole(user: Path, linter: Callable[[str], str]):
    tree = yaml.safe_load((user / "ci/trt-nemotron.gitlab-ci.yml").read_text())
    script = user / "script.sh"
    script.write_text("\n".join(tree["trt-nemotron-gate"]["script"]))
    run(linter("shellcheck"), "--shell=sh", "--exclude=SC2154", script, folder=user)
