import json
from pathlib import Path

import pytest

from trt_nemotron.cli.main import run
from trt_nemotron.document import read_document
from trt_nemotron.measure.baselines.changelog import PerfChangelog

INIT = ["ci", "init", "--provider", "github", "--target", "spark"]


def files_of(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("provider", ["github", "gitlab", "jenkins"])
@pytest.mark.parametrize("target", ["cpu", "spark", "thor", "h100-sxm"])
def test_what_init_writes_is_accounted_for(provider: str, target: str, user: Path):
    assert run(["ci", "init", "--provider", provider, "--target", target]) == 0
    assert run(["baseline", "check-changelog"]) == 0
    (change,) = read_document(user / "ci/perf-changelog.yaml", PerfChangelog).changes
    assert change.name == f"{target}.yaml"


def test_a_dry_run_writes_nothing(user: Path, capsys: pytest.CaptureFixture[str]):
    assert run([*INIT, "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["written"] == []
    assert {file["state"] for file in told["files"]} == {"new"}
    assert files_of(user) == {}


def test_a_second_time_changes_nothing(user: Path, capsys: pytest.CaptureFixture[str]):
    assert run(INIT) == 0
    before = files_of(user)
    capsys.readouterr()
    assert run([*INIT, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["written"] == []
    assert files_of(user) == before


def test_an_edited_workflow_is_shown_and_left_alone(user: Path, capsys: pytest.CaptureFixture[str]):
    run(INIT)
    workflow = user / ".github/workflows/trt-nemotron.yml"
    workflow.write_text(workflow.read_text().replace("branches: [main]", "branches: [trunk]"))
    before = files_of(user)
    capsys.readouterr()
    assert run(INIT) == 2
    assert "-    branches: [trunk]" in capsys.readouterr().err
    assert files_of(user) == before
    assert run([*INIT, "--force"]) == 0
    assert "branches: [main]" in workflow.read_text()


def test_a_budget_of_ones_own_survives_force_and_its_missing_entry_is_shown(
    user: Path, capsys: pytest.CaptureFixture[str]
):
    run(INIT)
    budget = user / "ci/budgets/spark.yaml"
    budget.write_text(budget.read_text() + "minimum_samples: 12\n")
    before = files_of(user)
    capsys.readouterr()
    assert run([*INIT, "--force"]) == 0
    assert files_of(user) == before
    assert "budget spark.yaml changed: add" in capsys.readouterr().err


def test_a_second_target_is_named_in_the_next_steps(user: Path, capsys: pytest.CaptureFixture[str]):
    run(INIT)
    capsys.readouterr()
    run(["ci", "init", "--provider", "gitlab", "--target", "thor", "--json"])
    steps = json.loads(capsys.readouterr().out)["next_steps"]
    assert any("budget thor.yaml changed: add" in step for step in steps)


def test_the_budget_given_is_the_start(user: Path):
    text = (
        "schema: trt-nemotron/budget/1\ntarget: spark\n"
        "bounds: [{metric: ttft_p50_ms, concurrency: 1, at_most: 200}]  # agreed\n"
    )
    (user / "mine.yaml").write_text(text)
    assert run([*INIT, "--budget", "mine.yaml"]) == 0
    assert (user / "ci/budgets/spark.yaml").read_text() == text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--target", "sparc"], "spark"),
        (["--budget", "thor"], "a budget for thor, not for spark"),
        (["--budget", "none.yaml"], "cannot read none.yaml"),
        (["--budget", "none"], "there is no budget for 'none'"),
        (["--repository", ""], "the path is empty"),
        (["--runner-label", "a b"], "cannot stand in a CI file"),
        (["--package", "x'y"], "cannot stand in a CI file"),
        (["--repository", "nowhere"], "no folder"),
    ],
)
def test_what_cannot_be_written_is_refused(
    arguments: list[str], says: str, user: Path, capsys: pytest.CaptureFixture[str]
):
    assert run([*INIT, *arguments]) == 2
    assert says in capsys.readouterr().err
    assert files_of(user) == {}


def test_conclude_without_a_check_fails_and_leaves_a_conclusion(
    user: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        monkeypatch.setenv(name, str(user / name))
    command = ["ci", "conclude", "out", "--budget", "cpu", "--check-exit-code", "0"]
    assert run([*command, "--provider", "github"]) == 3
    assert capsys.readouterr().out.startswith("::error title=trt-nemotron gate::BROKEN")
    assert (user / "GITHUB_OUTPUT").read_text() == "decision=broken\nexit-code=3\n"
    assert "No verdict" in (user / "GITHUB_STEP_SUMMARY").read_text()
    names = {path.name for path in (user / "out").iterdir()}
    assert names == {"conclusion.json", "conclusion.md", "conclusion.junit.xml"}


def test_conclude_dry_writes_nothing(user: Path, capsys: pytest.CaptureFixture[str]):
    command = ["ci", "conclude", "out", "--budget", "cpu", "--check-exit-code", "9"]
    assert run([*command, "--provider", "gitlab", "--dry-run", "--json"]) == 9
    assert json.loads(capsys.readouterr().out)["decision"] == "broken"
    assert files_of(user) == {}


def test_a_folder_that_no_ci_system_reads_is_said(user: Path, capsys: pytest.CaptureFixture[str]):
    assert run([*INIT, "--json"]) == 0
    steps = json.loads(capsys.readouterr().out)["next_steps"]
    assert f"Make {user.resolve()} a git repository" in steps[0]
    (user / ".git").mkdir()
    inside = user / "inside"
    inside.mkdir()
    assert run([*INIT, "--repository", str(inside), "--json"]) == 0
    steps = json.loads(capsys.readouterr().out)["next_steps"]
    assert f"Give --repository {user.resolve()}" in steps[0]
    assert run([*INIT, "--json"]) == 0
    assert "repository" not in json.loads(capsys.readouterr().out)["next_steps"][0]
