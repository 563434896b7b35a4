"""The whole pipeline for real: the embedded checkpoint, llama.cpp's server, our own client."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from trt_nemotron.document import parse_document, read_document
from trt_nemotron.measure.bench.replay import read_measurement
from trt_nemotron.measure.gate.values import Verdict
from trt_nemotron.measure.smoke.values import SmokeReport
from trt_nemotron.pipeline.folder import BUNDLE, RESULTS
from trt_nemotron.pipeline.record import STAGES, CheckRecord

pytestmark = pytest.mark.slow


def test_every_stage_is_done_and_leaves_its_value(tool):
    done = tool.run("check", "--target", "cpu", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tool.folder / "trt-nemotron-check"
    record = parse_document(done.stdout.encode(), CheckRecord, origin="stdout")
    assert record == read_document(folder / "check.json", CheckRecord)
    assert [stage.name for stage in record.stages] == list(STAGES)
    assert {stage.status for stage in record.stages} == {"done"}
    assert read_document(folder / "smoke.json", SmokeReport).passed
    assert read_document(folder / "verdict.json", Verdict).decision == "pass"
    measurement = read_measurement(folder / "measurement.json.gz")
    assert len(measurement.records) > 48
    assert ET.parse(folder / "verdict.junit.xml").getroot().tag in {"testsuites", "testsuite"}
    assert "embedded" in (folder / "report.html").read_text()
    exact = {gap.name for gap in record.memory if gap.is_exact}
    assert {"weights", "kv_cache", "ssm_state", "conv_state"} <= exact
    assert all(abs(gap.gap) <= 0.02 for gap in record.memory if gap.is_exact), record.memory
    for stage in record.stages:
        assert all((folder / name).exists() for name in stage.files), stage
    assert {path.name for path in folder.iterdir()} == {BUNDLE, ".lock", *RESULTS}


def test_person_sees_stages_figures_verdict_and_the_report_s_place(tool):
    done = tool.run("check", "--target", "cpu", "--out", "seen")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    for stage in STAGES:
        assert f"✓ {stage}" in done.stderr
    for word in ("TTFT", "TPOT", "PASS", "seen/report.html", "not the speed of the 4B"):
        assert word in done.stderr


def test_unkept_bound_fails_the_check_and_says_which(tool, tmp_path: Path):
    budget = tmp_path / "strict.yaml"
    budget.write_text(
        "schema: trt-nemotron/budget/1\ntarget: cpu\n"
        "machine: {other_load_share_at_most: 1.0}\n"  # other tests run beside this one
        "bounds:\n  - {metric: ttft_p50_ms, concurrency: 1, at_most: 0.001}\n"
    )
    done = tool.run("check", "--target", "cpu", "--budget", str(budget))
    assert done.returncode == 1
    assert "FAIL" in done.stderr
    assert "ttft_p50_ms" in done.stderr


def test_server_that_answers_wrongly_is_not_measured(tool, tmp_path: Path):
    folder = tool.folder / "trt-nemotron-check"
    folder.mkdir()
    (folder / "verdict.junit.xml").write_text("of an earlier check")
    suite = tmp_path / "wrong.yaml"
    suite.write_text(
        "schema: trt-nemotron/smoke-suite/1\nname: wrong\nabout: expects what is not said\n"
        "sampling: {temperature: 0.0}\ncases:\n  completion:\n"
        "    messages: [{role: user, content: What is the capital of France?}]\n"
        "    thinking: false\n    max_tokens: 64\n    expect: {content: {equals: Madrid}}\n"
    )
    done = tool.run("check", "--target", "cpu", "--suite", str(suite), "--json")
    assert done.returncode == 1
    stages = {stage["name"]: stage["status"] for stage in json.loads(done.stdout)["stages"]}
    assert stages["smoke"] == "failed"
    assert stages["bench"] == stages["gate"] == "skipped"
    assert stages["report"] == "done"
    assert not (folder / "verdict.junit.xml").exists()


def test_dry_run_builds_and_writes_nothing(tool):
    done = tool.run("check", "--target", "cpu", "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["plan"]["target"] == "cpu"
    assert not (tool.folder / "trt-nemotron-check").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--target", "cup"), 2, "cpu"),
        (("--target", "cpu", "--checkpoint", "nowhere"), 7, "nowhere"),
        (("--target", "cpu", "--runtime", "vllm"), 2, "llamacpp"),
        (("--target", "cpu", "--budget", "nowhere.yaml"), 2, "nowhere.yaml"),
        (("--target", "cpu", "--suite", "nowhere"), 2, "nowhere"),
        (("--target", "cpu", "--context", "1000000"), 8, "--context"),
        (("--target", "cpu", "--precision", "int3"), 2, "f16"),
    ],
)
def test_wrong_input_ends_with_its_code_and_the_next_step(tool, arguments, code, words):
    done = tool.run("check", *arguments)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
