"""The steps that a CI system would run, run here: for real, on the embedded target.

What cannot be had here is the CI system itself. `Job` is a double of GitHub's runner as far as our
action needs it: contexts, outputs, what a failed step does to those after it. An expression that it
does not know is an error.
"""

import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

pytestmark = pytest.mark.slow

TOOLS = Path(sys.executable).parent
PASSES = "  - {metric: tpot_p50_ms, concurrency: 1, at_most: 100000}\n"
MISSED = "  - {metric: tpot_p50_ms, concurrency: 1, at_most: 0.0001}\n"


def started(command: list[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    path = f"{TOOLS}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command, cwd=folder, env={**os.environ, "PATH": path, **variables},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def tool(folder: Path, *arguments: str) -> None:
    done = started(["trt-nemotron", *arguments], folder)
    assert done.returncode == 0, done.stderr


def repository_of(folder: Path, provider: str, bounds: str, *choices: str) -> Path:
    """A user's repository, wired by the command, with a budget of these bounds."""
    folder.mkdir()
    (folder / "mine.yaml").write_text(
        "schema: trt-nemotron/budget/1\ntarget: cpu\nsmoke: {required: true}\n"
        f"machine: {{other_load_share_at_most: 1.0}}\n{bounds}"  # other tests run beside
    )
    tool(
        folder, "ci", "init", "--provider", provider, "--target", "cpu", "--budget", "mine.yaml",
        *choices,
    )  # fmt: skip
    return folder


@dataclass
class Job:
    """A double of GitHub's runner for one composite action."""

    folder: Path
    temp: Path
    inputs: dict[str, str]
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    log: str = ""
    summary: str = ""
    has_failed: bool = False

    def run(self) -> "Job":
        action = yaml.safe_load(
            (self.folder / ".github/actions/trt-nemotron-gate/action.yml").read_text()
        )
        known = action["inputs"]
        assert set(self.inputs) <= set(known)
        assert all(name in self.inputs for name, how in known.items() if how.get("required"))
        self.inputs = {name: how.get("default", "") for name, how in known.items()} | self.inputs
        for step in action["runs"]["steps"]:
            if "run" in step and self._is_due(step.get("if")):
                self._run_step(step)
        return self

    def _is_due(self, condition: str | None) -> bool:
        if condition is None:
            return not self.has_failed
        assert condition == "${{ !cancelled() && steps.tool.outputs.tool != '' }}"
        return self.outputs.get("tool", {}).get("tool", "") != ""

    def _value(self, text: str) -> str:
        return re.sub(r"\$\{\{ (.*?) \}\}", lambda match: self._expression(match[1]), text)

    def _expression(self, text: str) -> str:
        name, _, otherwise = text.partition(" || ")
        place = name.split(".")
        if name == "runner.temp":
            return str(self.temp)
        if place[0] == "inputs":
            return self.inputs[place[1]]
        assert (place[0], place[2]) == ("steps", "outputs"), text
        return self.outputs.get(place[1], {}).get(place[3], "") or otherwise.strip("'")

    def _run_step(self, step: Mapping[str, Any]) -> None:
        assert step["shell"] == "bash"
        files = {name: self.temp / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for file in files.values():
            file.write_text("")
        script = self.temp / "step.sh"
        script.write_text(step["run"])
        given = {name: self._value(str(value)) for name, value in step.get("env", {}).items()}
        given |= {name: str(file) for name, file in files.items()} | {"RUNNER_TEMP": str(self.temp)}
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
        done = started(shell, self.folder, **given)
        self.log += done.stdout + done.stderr
        self.has_failed = self.has_failed or done.returncode != 0
        self.summary += files["GITHUB_STEP_SUMMARY"].read_text()
        if "id" in step:
            pairs = (
                line.partition("=") for line in files["GITHUB_OUTPUT"].read_text().splitlines()
            )
            self.outputs[step["id"]] = {name: value for name, _, value in pairs}

    @property
    def decision(self) -> str:
        return self.outputs.get("conclude", {}).get("decision", "")


def github_job(folder: Path, temp: Path, **inputs: str) -> Job:
    temp.mkdir()
    given = {"target": "cpu", "budget": "ci/budgets/cpu.yaml", "lock": str(temp / "lock"), **inputs}
    return Job(folder, temp, given).run()


def steady_job(folder: Path, temp: Path, **inputs: str) -> Job:
    """A job in which latency stood still. Other tests use this machine too, and a run that drifts
    by that is, rightly, neither a baseline nor a pass."""
    for attempt in range(6):
        job = github_job(folder, temp.with_name(f"{temp.name}-{attempt}"), **inputs)
        if "drifted from" not in job.log:
            break
    return job


def test_github_keeps_a_baseline_and_passes_against_it(tmp_path: Path):
    bounds = (
        f"bounds:\n{PASSES}"
        "relative:\n  - {metric: tpot_p50_ms, concurrency: 1, worse_by_at_most_percent: 900}\n"
    )
    user = repository_of(tmp_path / "user", "github", bounds)
    store = {"baseline-store": "ci/baselines"}

    first = steady_job(user, tmp_path / "first", **store)
    assert first.has_failed
    assert first.outputs["conclude"] == {"decision": "no_baseline", "exit-code": "5"}, first.log
    assert "::warning" in first.log
    assert "NO BASELINE" in first.summary

    run = first.temp / "trt-nemotron-check/measurement.json.gz"
    tool(user, "baseline", "record", str(run))
    (kept,) = json.loads(started(["trt-nemotron", "baseline", "list", "--json"], user).stdout)
    name = kept["baseline"]["id"]
    tool(user, "baseline", "promote", name, "--reason", "first run of the wired gate")

    unsaid = github_job(user, tmp_path / "unsaid", **store)
    assert unsaid.has_failed
    assert unsaid.decision == "broken"
    assert f"promote of baseline {name}" in unsaid.log
    assert not (tmp_path / "unsaid/trt-nemotron-check/check.json").exists(), "nothing was measured"

    with (user / "ci/perf-changelog.yaml").open("a") as changelog:
        changelog.write(
            f"  - {{date: 2099-01-01, kind: baseline, name: {name}, reason: first run here}}\n"
        )
    second = steady_job(user, tmp_path / "second", **store)
    assert not second.has_failed, second.log
    assert second.outputs["conclude"] == {"decision": "pass", "exit-code": "0"}
    assert "::notice" in second.log
    assert "PASS: all 3 bounds are kept" in second.summary


def test_github_fails_a_budget_that_cannot_be_kept(tmp_path: Path):
    user = repository_of(tmp_path / "user", "github", f"bounds:\n{MISSED}")
    job = github_job(user, tmp_path / "temp")
    assert job.has_failed
    assert job.outputs["conclude"] == {"decision": "fail", "exit-code": "1"}, job.log
    assert "::error file=ci/budgets/cpu.yaml" in job.log
    assert "FAIL: tpot" in job.summary.replace("\\_", "_")
    suite = ET.parse(tmp_path / "temp/trt-nemotron-check/conclusion.junit.xml").getroot()
    assert suite.get("failures") == "1"


def test_github_measures_nothing_while_the_device_is_taken(tmp_path: Path):
    user = repository_of(tmp_path / "user", "github", f"bounds:\n{PASSES}")
    lock = tmp_path / "device"
    with subprocess.Popen(["flock", str(lock), "sh", "-c", "echo held; cat"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as holder:  # fmt: skip
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        job = github_job(user, tmp_path / "temp", lock=str(lock), **{"wait-s": "0.1"})
        holder.communicate(b"")
    assert job.has_failed
    assert job.outputs["conclude"] == {"decision": "broken", "exit-code": "3"}, job.log
    assert "::error title=trt-nemotron gate::BROKEN" in job.log
    assert "No verdict" in job.summary


def test_github_takes_no_input_for_a_script(tmp_path: Path):
    user = repository_of(tmp_path / "user", "github", f"bounds:\n{PASSES}")
    evil = f'"; touch {tmp_path}/owned; echo "$(touch {tmp_path}/owned)`touch {tmp_path}/owned`'
    names = {"target", "profile", "runtime", "checkpoint", "changelog", "package", "budget", "lock"}
    for name in sorted(names | {"wait-s", "baseline-store"}):
        job = github_job(user, tmp_path / name, **{name: evil})
        # A store that is not there yet is an empty one, and this budget needs none.
        assert job.has_failed or name == "baseline-store"
    assert not (tmp_path / "owned").exists()


def test_github_without_the_tool_fails_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    user = repository_of(tmp_path / "user", "github", f"bounds:\n{PASSES}")
    monkeypatch.setattr(sys.modules[__name__], "TOOLS", tmp_path)
    bare = [part for part in os.environ["PATH"].split(os.pathsep)
            if not (Path(part) / "trt-nemotron").exists()]  # fmt: skip
    monkeypatch.setenv("PATH", os.pathsep.join(bare))
    job = github_job(user, tmp_path / "temp")
    assert job.has_failed
    assert "is not on this runner's PATH" in job.log
    assert job.decision == ""


def test_the_required_check_of_github_lets_only_a_pass_through(tmp_path: Path):
    user = repository_of(tmp_path / "user", "github", f"bounds:\n{PASSES}")
    jobs = yaml.safe_load((user / ".github/workflows/trt-nemotron.yml").read_text())["jobs"]
    (step,) = jobs["required"]["steps"]
    assert jobs["required"]["if"] == "${{ always() }}"
    for result in ("success", "failure", "cancelled", "skipped", ""):
        for decision in ("pass", "fail", "invalid", "no_baseline", "inconclusive", "broken", ""):
            shell = ["bash", "-e", "-c", step["run"]]
            done = started(shell, user, RESULT=result, DECISION=decision)
            is_pass = (result, decision) == ("success", "pass")
            assert (done.returncode == 0) is is_pass
            assert is_pass or "::error title=latency gate::the gate did not pass" in done.stdout


def gitlab_job(folder: Path) -> subprocess.CompletedProcess[str]:
    tree = yaml.safe_load((folder / "ci/trt-nemotron.gitlab-ci.yml").read_text())
    job = tree["trt-nemotron-gate"]
    variables = {
        name: str(value).replace("$CI_PROJECT_DIR", str(folder))
        for name, value in job["variables"].items()
    }
    return started(
        ["sh", "-c", "\n".join(job["script"])], folder,
        **{**variables, "GATE_LOCK": str(folder / "lock")},
    )  # fmt: skip


def jenkins_job(folder: Path) -> subprocess.CompletedProcess[str]:
    text = (folder / "ci/trt-nemotron.Jenkinsfile").read_text()
    variables = dict(re.findall(r"(GATE_\w+) = '(.*)'", text))
    (script,) = re.findall(r"sh '''\n(.*?)'''", text, re.DOTALL)
    return started(
        ["sh", "-xe", "-c", textwrap.dedent(script)], folder,
        **{**variables, "GATE_LOCK": str(folder / "lock")},
    )  # fmt: skip


@pytest.mark.parametrize(("provider", "job"), [("gitlab", gitlab_job), ("jenkins", jenkins_job)])
def test_others_end_with_the_exit_code_and_leave_junit(provider: str, job: Any, tmp_path: Path):
    user = repository_of(tmp_path / "user", provider, f"bounds:\n{MISSED}")
    done = job(user)
    assert done.returncode == 1, done.stderr
    assert "FAIL: tpot_p50_ms" in done.stderr
    suite = ET.parse(user / "trt-nemotron-check/conclusion.junit.xml").getroot()
    assert suite.get("failures") == "1"

    (user / "ci/budgets/cpu.yaml").write_text(
        "schema: trt-nemotron/budget/1\ntarget: cpu\nstatus: unmeasured\n"
    )
    done = job(user)
    assert done.returncode == 1
    assert "budget cpu.yaml changed" in done.stderr

    (user / "ci/perf-changelog.yaml").unlink()
    tool(user, "ci", "init", "--provider", provider, "--target", "cpu")
    done = job(user)
    assert done.returncode == 5, done.stderr
    assert "NO BASELINE" in done.stderr


def test_gitlab_passes(tmp_path: Path):
    done = gitlab_job(repository_of(tmp_path / "user", "gitlab", f"bounds:\n{PASSES}"))
    assert done.returncode == 0, done.stderr
    assert "PASS" in done.stderr


def test_the_nightly_expects_what_cannot_be_kept_to_fail(repository: Path, tmp_path: Path):
    """Our own workflow's steps: the budget they write, what the action makes of it, the verdict."""
    workflow = yaml.safe_load((repository / ".github/workflows/nightly.yml").read_text())
    steps = {step.get("name"): step for step in workflow["jobs"]["gate"]["steps"]}
    assert steps["It has to fail"]["uses"] == "./ci/github"
    shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"]
    written = started([*shell, steps["A budget that nothing can keep"]["run"]], tmp_path,
                      RUNNER_TEMP=str(tmp_path))  # fmt: skip
    assert written.returncode == 0, written.stderr

    user = repository_of(tmp_path / "user", "github", f"bounds:\n{PASSES}")
    given = {
        name: value.replace("${{ runner.temp }}", str(tmp_path))
        for name, value in steps["It has to fail"]["with"].items()
        if name in {"target", "budget", "changelog", "profile"}
    }
    job = github_job(user, tmp_path / "temp", **given)
    for outcome, decision, is_well in (
        ("failure" if job.has_failed else "success", job.decision, True),
        ("failure", "broken", False),
        ("success", "pass", False),
    ):
        done = started([*shell, steps["And did"]["run"]], tmp_path, OUTCOME=outcome,
                       DECISION=decision)  # fmt: skip
        assert (done.returncode == 0) is is_well, job.log
