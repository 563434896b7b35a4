import json
from pathlib import Path

import msgspec
import pytest

from tests.cli.conftest import measured
from trt_nemotron.cli.main import run
from trt_nemotron.deploy.checkpoint.embedded import embedded_checkpoint_path
from trt_nemotron.deploy.machine import Machine
from trt_nemotron.deploy.planning import make_plan
from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.document import write_document
from trt_nemotron.measure.bench.replay import write_measurement
from trt_nemotron.measure.bench.values import Measurement
from trt_nemotron.measure.smoke.values import SmokeReport, SmokeResult

LAPTOP = Machine(architecture="x86_64", cores=2, memory_total_bytes=8 << 30)
BUDGET = """schema: trt-nemotron/budget/1
target: cpu
bounds:
  - {metric: tpot_p50_ms, concurrency: 1, at_most: %s}
"""


@pytest.fixture
def a_measurement() -> Measurement:
    return measured(model="m-embedded")


@pytest.fixture
def files(tmp_path: Path, a_measurement: Measurement) -> Path:
    write_document(tmp_path / "run.json", a_measurement)
    (tmp_path / "good.yaml").write_text(BUDGET % 5)
    (tmp_path / "tight.yaml").write_text(BUDGET % 0.01)
    return tmp_path


@pytest.mark.parametrize(("budget", "code"), [("good.yaml", 0), ("tight.yaml", 1)])
def test_exit_code_follows_the_decision(files: Path, budget: str, code: int):
    assert run(["gate", str(files / "run.json"), "--budget", str(files / budget)]) == code


def test_json_is_the_verdict_and_nothing_else(files: Path, capsys: pytest.CaptureFixture[str]):
    arguments = ["gate", str(files / "run.json"), "--budget", str(files / "tight.yaml"), "--json"]
    assert run(arguments) == 1
    verdict = json.loads(capsys.readouterr().out)
    assert verdict["decision"] == "fail"
    assert verdict["results"][0]["metric"] == "tpot_p50_ms"


def test_all_outputs_are_written(files: Path):
    out = files / "out"
    arguments = ["gate", str(files / "run.json"), "--budget", str(files / "good.yaml")]
    arguments += ["--out", str(out), "--junit", str(files / "j.xml")]
    assert run([*arguments, "--markdown", str(files / "m.md")]) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "verdict.json", "verdict.junit.xml", "verdict.md",
    ]  # fmt: skip
    assert (files / "j.xml").read_bytes() == (out / "verdict.junit.xml").read_bytes()
    assert (files / "m.md").read_text().startswith("**PASS")


def test_outputs_for_machines(files: Path, capsys: pytest.CaptureFixture[str]):
    arguments = ["gate", str(files / "run.json"), "--budget", str(files / "tight.yaml")]
    arguments += ["--openmetrics", str(files / "g.om"), "--github"]
    assert run([*arguments, "--dry-run"]) == 1
    assert not (files / "g.om").exists()
    capsys.readouterr()
    assert run(arguments) == 1
    assert capsys.readouterr().out.startswith("::error title=trt-nemotron gate::FAIL")
    assert run([*arguments, "--json"]) == 2
    assert (files / "g.om").read_text().endswith("# EOF\n")


def test_relative_bounds_without_and_with_a_baseline(files: Path, a_measurement: Measurement):
    (files / "relative.yaml").write_text(
        "schema: trt-nemotron/budget/1\ntarget: cpu\n"
        "relative:\n  - {metric: tpot_p50_ms, concurrency: 1, worse_by_at_most_percent: 900}\n"
    )
    arguments = ["gate", str(files / "run.json"), "--budget", str(files / "relative.yaml")]
    assert run(arguments) == 5
    earlier = msgspec.structs.replace(a_measurement, started_at="2020-01-01T00:00:00Z")
    write_document(files / "earlier.json", earlier)
    assert run([*arguments, "--baseline", str(files / "earlier.json")]) == 0


def test_failed_smoke_report_fails_the_gate(files: Path):
    result = SmokeResult(name="usage", status="fail", reason="no", evidence={}, duration_ms=1.0)
    report = SmokeReport(url="", model="m", suite="s", started_at="", results=(result,))
    write_document(files / "smoke.json", report)
    arguments = ["gate", str(files / "run.json"), "--budget", str(files / "good.yaml")]
    assert run([*arguments, "--smoke", str(files / "smoke.json")]) == 1


def test_files_given_in_each_others_place_are_refused(files: Path):
    assert run(["gate", str(files / "good.yaml"), "--budget", str(files / "run.json")]) == 2


def test_a_target_without_a_budget_names_those_that_have_one(
    files: Path, capsys: pytest.CaptureFixture[str]
):
    assert run(["gate", str(files / "run.json"), "--budget", "cup"]) == 2
    assert "cpu" in capsys.readouterr().err


def test_the_shipped_budget_is_found_by_name(files: Path):
    assert run(["gate", str(files / "run.json"), "--budget", "cpu"]) == 4


def test_report_is_one_file(files: Path, capsys: pytest.CaptureFixture[str]):
    verdict = ["gate", str(files / "run.json"), "--budget", str(files / "good.yaml")]
    assert run([*verdict, "--out", str(files)]) == 0
    arguments = ["report", str(files / "run.json"), "--verdict", str(files / "verdict.json")]
    assert run([*arguments, "--json"]) == 0
    page = Path(json.loads(capsys.readouterr().out)["report"])
    assert page == files / "run.html"
    assert "PASS" in page.read_text()


def test_report_shows_the_plan_and_lies_beside_the_measurement(
    files: Path, a_measurement: Measurement
):
    plan, _ = make_plan("cpu", "llamacpp", embedded_checkpoint_path(), Wishes(), LAPTOP)
    write_document(files / "plan.json", plan)
    write_measurement(files / "packed.json.gz", a_measurement)
    arguments = ["report", str(files / "packed.json.gz"), "--plan", str(files / "plan.json")]
    assert run(arguments) == 0
    page = (files / "packed.html").read_text()
    assert "cache_ram_mib" in page
    assert run(["report", str(files / "packed.json.gz"), "--out", str(files / "bare.html")]) == 0
    assert "cache_ram_mib" not in (files / "bare.html").read_text()


def test_report_of_something_else_is_refused(files: Path):
    assert run(["report", str(files / "good.yaml")]) == 2
    assert not (files / "good.html").exists()


def test_replay_of_a_run_that_may_not_be_judged_says_so_with_its_code(
    files: Path, a_measurement: Measurement, capsys: pytest.CaptureFixture[str]
):
    assert run(["bench", "--replay", str(files / "run.json")]) == 0
    busy = msgspec.structs.replace(a_measurement.client, cpu_share=0.99)
    write_document(files / "busy.json", msgspec.structs.replace(a_measurement, client=busy))
    assert run(["bench", "--replay", str(files / "busy.json")]) == 4
    assert "bottleneck" in capsys.readouterr().err


def test_dry_run_judges_and_draws_but_writes_nothing(files: Path):
    before = sorted(files.iterdir())
    verdict = ["gate", str(files / "run.json"), "--budget", str(files / "tight.yaml"), "--dry-run"]
    assert run([*verdict, "--out", str(files / "out"), "--junit", str(files / "j.xml")]) == 1
    assert run(["report", str(files / "run.json"), "--dry-run"]) == 0
    assert sorted(files.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run.json", "--budget", "good.yaml", "--seed", "3"], "--seed is for --ab and --ab-urls"),
        (["run.json", "--budget", "good.yaml", "--max-pairs", "9"], "not for a MEASUREMENT"),
        (["run.json", "--budget", "good.yaml", "--serving", "auto"], "--serving is for --ab"),
        (["--ab-urls", "http://a", "http://b", "--timeout", "9"], "--timeout is for --ab, not"),
        (["--ab-urls", "http://a", "http://b", "--engine", "podman"], "--engine is for --ab, not"),
        (["run.json", "--budget", "good.yaml", "--secret", "KEY"], "--secret is for --ab, not"),
        (["--ab-replay", "kept", "--requests", "9"], "not for --ab-replay"),
        (["--ab-replay", "kept", "--baseline", "run.json"], "is for a MEASUREMENT"),
        (["--self-test", "--budget", "cpu"], "not for --self-test"),
        (["--self-test", "--out", "kept"], "not for --self-test"),
    ],
)
def test_an_option_that_would_be_passed_over_is_refused(
    arguments: list[str],
    said: str,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(files)
    assert run(["gate", *arguments]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_folder_that_is_no_bundle_tells_nothing_of_its_start(
    files: Path, capsys: pytest.CaptureFixture[str]
):
    command = ["gate", str(files / "run.json"), "--budget", str(files / "good.yaml")]
    assert run([*command, "--bundle", str(files)]) == 10
    assert "manifest.json is missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("there", "said"),
    [((), "holds no A/B gate"), (("ab.json",), "was cut off early")],
)
def test_a_folder_without_a_whole_gate_is_not_judged_again(
    there: tuple[str, ...], said: str, files: Path, capsys: pytest.CaptureFixture[str]
):
    for name in there:
        (files / name).write_text("{}")
    assert run(["gate", "--ab-replay", str(files), "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert said in error["message"]
    assert error["next_step"]
