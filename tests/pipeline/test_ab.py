"""`gate --ab` with two bundles that are built, served and measured for real."""

import json
import os
import signal

import pytest

from trt_nemotron.measure.smoke.suite import SUITES_FOLDER

BUDGET = """schema: trt-nemotron/budget/1
target: cpu
minimum_samples: 7
relative:
  - {metric: tpot_p50_ms, concurrency: 1, worse_by_at_most_percent: 900}
"""


@pytest.fixture
def bundles(tool) -> tuple[str, str]:
    for name in ("a", "b"):
        assert tool.run("build", "--target", "cpu", "--out", name).returncode == 0
    (tool.folder / "wide.yaml").write_text(BUDGET)
    return "a", "b"


def ab(bundles: tuple[str, str], *more: str) -> list[str]:
    return ["gate", "--ab", *bundles, "--budget", "wide.yaml", "--out", "out", *more]


@pytest.mark.slow
def test_two_bundles_are_compared_kept_and_judged_again(tool, bundles):
    done = tool.run(*ab(bundles, "--seed", "7", "--requests", "7", "--json"))
    assert done.returncode in {0, 4}, done.stderr  # 4: this machine was too busy for the client
    verdict = json.loads(done.stdout)
    assert [result["metric"] for result in verdict["results"]] == [
        "smoke_checks_failed",
        "tpot_p50_ms",
    ]
    assert verdict["paired"]["seed"] == 7
    out = tool.folder / "out"
    measured = 2 * (verdict["paired"]["pairs"] + verdict["paired"]["dropped"])
    assert len(list((out / "runs").iterdir())) == measured >= 16
    for name in ("verdict.json", "verdict.md", "verdict.junit.xml", "report.html", "smoke.json"):
        assert (out / name).stat().st_size > 0
    again = tool.run("gate", "--ab-replay", "out", "--json")
    assert json.loads(again.stdout) == verdict
    assert again.returncode == done.returncode
    assert not tool.left_running()

    (out / "runs" / "0003-a.json.gz").unlink(missing_ok=True)
    (out / "runs" / "0003-b.json.gz").unlink(missing_ok=True)
    cut = tool.run("gate", "--ab-replay", "out")
    assert cut.returncode == 6
    assert "run 3 is not there" in cut.stderr


@pytest.mark.slow
def test_a_start_for_each_run_leaves_nothing_between_them(tool, bundles):
    options = ("--serving", "in-turn", "--requests", "7", "--max-pairs", "9", "--json")
    done = tool.run(*ab(bundles, *options), timeout_s=300)
    assert done.returncode in {0, 4, 6}, done.stderr
    assert json.loads((tool.folder / "out" / "ab.json").read_text())["serving"] == "in-turn"
    assert not tool.left_running()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_however_it_is_ended_no_server_is_left(tool, bundles, eventually, number: signal.Signals):
    process = tool.start(*ab(bundles, "--requests", "400"))
    eventually((tool.folder / "out" / "smoke.json").exists, timeout_s=60)
    os.kill(process.pid, number)
    process.wait(60)
    eventually(lambda: not tool.left_running())
    assert not (tool.folder / "out" / "verdict.json").exists()


@pytest.mark.slow
def test_a_wrong_answer_of_b_is_a_failure_and_is_not_measured(tool, bundles):
    suite = tool.folder / "suite.yaml"
    shipped = (SUITES_FOLDER / "embedded.yaml").read_text()
    suite.write_text(shipped.replace("equals: 2 + 2 = 4.", "equals: 2 + 2 = 5."))
    done = tool.run(*ab(bundles, "--suite", str(suite), "--json"))
    verdict = json.loads(done.stdout)
    assert (done.returncode, verdict["decision"]) == (1, "fail")
    assert verdict["results"][0]["metric"] == "smoke_checks_failed"
    assert not list((tool.folder / "out").glob("runs/*"))
    again = tool.run("gate", "--ab-replay", "out", "--json")
    assert again.returncode == 1
    assert json.loads(again.stdout)["results"] == verdict["results"]


def test_a_dry_run_says_pairs_time_and_power_and_starts_nothing(tool, bundles):
    done = tool.run(*ab(bundles, "--dry-run", "--json"))
    plan = json.loads(done.stdout)
    assert done.returncode == 0
    assert plan["serving"] == "together"
    assert plan["looks"][-1] == 480
    assert plan["least_seconds"][0] < plan["least_seconds"][-1]
    assert {power["change_percent"] for power in plan["power"]} == {5.0}
    assert not (tool.folder / "out").exists()
    said = tool.run(*ab(bundles, "--dry-run"))
    assert "is caught" in said.stderr


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((), "--self-test"),
        (("--ab", "a", "b", "--self-test"), "--self-test"),
        (("--ab", "a", "b", "--ab-replay", "x"), "exclude"),
        (("--ab", "a", "b", "--baseline", "x"), "--baseline"),
        (("m.json",), "--budget"),
    ],
)
def test_ways_that_do_not_go_together_are_refused(tool, arguments, word: str):
    done = tool.run("gate", *arguments)
    assert done.returncode == 2
    assert word in done.stderr


def test_a_budget_without_relative_bounds_is_refused_before_anything_starts(tool, bundles):
    done = tool.run("gate", "--ab", *bundles, "--budget", "cpu", "--out", "out")
    assert done.returncode == 2
    assert "no relative bound" in done.stderr
    assert not (tool.folder / "out").exists()


def test_where_the_servers_run_is_asked_of_both(tool, bundles):
    done = tool.run(*ab(bundles, "--engine", "podman"))
    assert done.returncode == 2
    assert "llamacpp has no container image" in done.stderr
    assert not tool.left_running()
    assert not list((tool.folder / "out").glob("runs/*"))
