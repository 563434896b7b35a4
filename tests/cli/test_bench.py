"""`trt-nemotron bench` from the command line, against a real server."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.measure.bench.conftest import Truth
from trt_nemotron.cli.bench_options import PROFILE_NAMES
from trt_nemotron.cli.main import run
from trt_nemotron.measure.bench.workload import PROFILES

pytestmark = pytest.mark.slow

QUICK = ["--requests", "8", "--output-tokens", "6", "--input-tokens", "24", "--warmup", "1"]


@pytest.fixture(scope="module")
def server() -> Iterator[Truth]:
    """A truth server."""
    truth = Truth()
    yield truth
    truth.end()


@pytest.fixture(scope="module")
def url(server: Truth) -> str:
    """The root of one that answers well."""
    return server.url_for(ttft_ms=10, interval_ms=3)


def test_people_get_a_table_and_the_file_replays_to_the_same(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    kept = tmp_path / "m.json.gz"
    options = ["--url", url, "--concurrency", "1,2", *QUICK, "--slo", "ttft_ms=1000"]
    assert run(["bench", *options, "--out", str(kept)]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    for text in ("TTFT", "TPOT", "ITL", "E2E", "– needs 459", "8 of 8", "clock:", "floor of TTFT"):  # noqa: RUF001
        assert text in shown.err
    table = shown.err[shown.err.index("latency, ms") :]
    assert run(["bench", "--replay", str(kept), "--slo", "ttft_ms=1000"]) == 0
    assert capsys.readouterr().err == table


def test_programs_get_json_and_nothing_else(url: str, capsys: pytest.CaptureFixture[str]):
    assert run(["bench", "--url", url, "--concurrency", "1", *QUICK, "--json"]) == 0
    shown = capsys.readouterr()
    tree = json.loads(shown.out)
    assert shown.err == ""
    (level,) = tree["summary"]["concurrencies"]
    assert level["outcomes"] == {"ok": 8}
    assert level["ttft_ms"]["p99"] is None
    assert level["goodput_rps"] is None
    assert tree["environment"]["model"] == "truth"


def test_a_dry_run_asks_nobody(capsys: pytest.CaptureFixture[str]):
    url = "http://127.0.0.1:9"
    assert run(["bench", "--url", url, "--dry-run", "--json", "--profile", "stress"]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert tree["workload"]["concurrencies"] == [1, 8, 32]
    assert run(["bench", "--url", url, "--dry-run"]) == 0
    assert "would measure" in capsys.readouterr().err


@pytest.mark.parametrize("profile", ["long-context", "agent", "open", "soak", "sweep"])
def test_a_dry_run_says_what_each_profile_sends(profile: str, capsys: pytest.CaptureFixture[str]):
    options = ["--url", "http://127.0.0.1:9", "--dry-run", "--profile", profile]
    assert run(["bench", *options]) == 0
    said = capsys.readouterr().err
    told = {
        "long-context": "262144 tokens in",
        "agent": "conversations of 4 turns",
        "open": "poisson arrivals, 256 under way at most",
        "soak": "3600 s",
        "sweep": "concurrency 256",
    }
    assert told[profile] in said


def test_profiles_are_those_of_the_workloads():
    assert tuple(PROFILES) == PROFILE_NAMES


def test_a_trace_is_played_and_its_hash_is_kept(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    trace = tmp_path / "arrivals"
    trace.write_text("".join(f"{place * 0.05}\n" for place in range(12)))
    options = ["--url", url, "--trace", str(trace), "--warmup", "2", "--output-tokens", "6"]
    assert run(["bench", *options, "--json"]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert tree["workload"]["trace_sha256"] == hashlib.sha256(trace.read_bytes()).hexdigest()
    (leg,) = tree["summary"]["concurrencies"]
    assert leg["requests"] == 10
    assert leg["rate_rps"] == 20.0


def test_a_ramp_tells_what_it_found(url: str, capsys: pytest.CaptureFixture[str]):
    options = ["--url", url, "--ramp", "--concurrency", "2", *QUICK]
    assert run(["bench", *options, "--json"]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert tree["ramp"]["goal"] == "knee"
    assert any(note.startswith("ramp: ") for note in tree["summary"]["notes"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "either the name of an endpoint or --url"),
        (["here", "--url", "http://127.0.0.1:9"], "either the name of an endpoint or --url"),
        (["no-such-server"], "not on record"),
        (["--url", "http://127.0.0.1:9", "--concurrency", "1,x"], "whole numbers"),
        (["--url", "http://127.0.0.1:9", "--slo", "itl_ms=3"], "NAME=MS"),
        (["--url", "http://127.0.0.1:9", "--slo", "ttft_ms=nan"], "NAME=MS"),
        (["--url", "http://127.0.0.1:9", "--slo", "ttft_ms=1,ttft_ms=2"], "each name once"),
        (["--url", "http://127.0.0.1:9", "--requests", "0"], "must lie between"),
        (["--url", "http://127.0.0.1:9", "--dialect", "klingon"], "klingon"),
        (["--url", "http://127.0.0.1:9", "--api-key-env", "NO_SUCH_KEY"], "NO_SUCH_KEY"),
        (["--url", "ftp://127.0.0.1:9"], "not a server's root URL"),
        (["--url", "http://127.0.0.1:9", "--rate", "fast"], "--rate takes numbers"),
        (["--url", "http://127.0.0.1:9", "--rate", "0"], "needs rates between"),
        (["--url", "http://127.0.0.1:9", "--rate", "1,1"], "given twice"),
        (["--url", "http://127.0.0.1:9", "--rate", "1", "--concurrency", "1,2"], "one largest"),
        (["--url", "http://127.0.0.1:9", "--rate", "1", "--turns", "2"], "cannot follow"),
        (["--url", "http://127.0.0.1:9", "--arrivals", "poisson"], "goes with --rate"),
        (["--url", "http://127.0.0.1:9", "--rate", "1", "--trace", "t"], "a trace says itself"),
        (["--url", "http://127.0.0.1:9", "--trace", "nowhere"], "cannot read nowhere"),
        (["--url", "http://127.0.0.1:9", "--think", "1"], "a pause between turns"),
        (["--url", "http://127.0.0.1:9", "--input-ladder", "9,3"], "input ladder rises"),
        (["--url", "http://127.0.0.1:9", "--input-ladder", "1,x"], "whole numbers"),
        (["--url", "http://127.0.0.1:9", "--input-ladder", "9", "--input-tokens", "8"], "two diff"),
        (
            ["--url", "http://127.0.0.1:9", "--profile", "long-context", "--input-tokens", "8"],
            "--profile long-context measures a ladder of lengths",
        ),
        (["--url", "http://127.0.0.1:9", "--shared-prefix", "2"], "must lie between"),
        (["--url", "http://127.0.0.1:9", "--soak", "50", "--total-timeout", "60"], "do not fit"),
        (["--url", "http://127.0.0.1:9", "--ramp", "--soak", "5"], "chooses its own legs"),
        (["--url", "http://127.0.0.1:9", "--ramp", "--rate", "1"], "keeps limits"),
        (["--url", "http://127.0.0.1:9", "--ramp", "--trace", "t"], "a ramp seeks the rate"),
        (["--url", "http://127.0.0.1:9", "--trace", "t", "--requests", "2"], "how many requests"),
        (["--url", "http://127.0.0.1:9", "--soak", "5", "--requests", "2"], "goes on for its time"),
        (["--url", "http://127.0.0.1:9", "--profile", "soak", "--requests", "2"], "3600 s and"),
        (["--replay", "nowhere.json"], "cannot read"),
        (["--replay", "a.json", "--url", "http://127.0.0.1:9"], "--replay"),
        (["--replay", "a.json", "--rate", "3", "--tools"], "it goes with no --rate, --tools"),
        (["--replay", "a.json", "demo"], "it goes with no ENDPOINT"),
    ],
)
def test_bad_input_is_one_clear_message(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
):
    assert run(["bench", *options]) == 2
    assert said in capsys.readouterr().err


def test_a_server_that_is_not_there_has_its_own_exit_code(capsys: pytest.CaptureFixture[str]):
    assert run(["bench", "--url", "http://127.0.0.1:9"]) == 11
    assert "does not answer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("scenario", "outcome"),
    [
        ("too short", "wrong_length"),
        ("fin in the middle", "truncated"),
        ("error in band", "stream_error"),
        ("503", "http_error"),
    ],
)
def test_a_run_with_requests_that_were_not_what_was_asked_is_not_valid(
    scenario: str, outcome: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    server = Truth()
    faulty = server.url_for(ttft_ms=10, interval_ms=3, scenario=scenario, **{"from": 5}, every=4)
    kept = tmp_path / "m.json.gz"
    options = ["--url", faulty, "--concurrency", "1", *QUICK, "--out", str(kept)]
    code = run(["bench", *options, "--json"])
    server.end()
    tree = json.loads(capsys.readouterr().out)
    assert code == 4
    (failure,) = tree["summary"]["failures"]
    assert failure == (
        f"concurrency 1: 2 of 8 requests were not what was asked for (2 {outcome}); "
        "they are left out of the latencies"
    )
    assert run(["bench", "--replay", str(kept)]) == 4
    assert "not valid: concurrency 1: 2 of 8 requests" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("scenario", "code", "said"),
    [
        ("never ending", 4, "answers without end"),
        ("end never told", 4, "never ends its response"),
        ("head, then nothing", 11, "begins to answer, and then sends no token"),
        ("not even a head", 11, "does not answer"),
    ],
)
def test_an_answer_that_does_not_end_is_called_what_it_is(
    scenario: str, code: int, said: str, capsys: pytest.CaptureFixture[str]
):
    server = Truth()
    options = ["--url", server.url_for(scenario=scenario), "--concurrency", "1", *QUICK]
    ended = run(["bench", *options, "--timeout", "1"])
    server.end()
    told = capsys.readouterr().err
    assert ended == code
    assert said in told
    assert "not ended after 1 s" in told
    assert "next:" in told


def test_a_server_that_is_only_slow_is_called_slow(
    server: Truth, capsys: pytest.CaptureFixture[str]
):
    options = ["--url", server.url_for(interval_ms=120), "--concurrency", "1", *QUICK]
    assert run(["bench", *options, "--timeout", "0.5"]) == 4
    told = capsys.readouterr().err
    assert "answers too slowly" in told
    assert "longer --timeout" in told
