import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.measure.smoke.fault_server import StartFaultServer, fault_servers
from trt_nemotron.cli.main import run
from trt_nemotron.measure.smoke.registry import CHECKS
from trt_nemotron.measure.smoke.suite import SUITES_FOLDER

SUITE = ["--suite", "embedded"]


@pytest.fixture
def fault_server() -> Iterator[StartFaultServer]:
    with fault_servers() as start:
        yield start


def smoke(*arguments: str) -> int:
    return run(["smoke", *arguments])


def test_a_right_endpoint_exits_0_with_a_line_a_check(
    fault_server: StartFaultServer, capsys: pytest.CaptureFixture[str]
) -> None:
    only = ["--only", "health", "--only", "completion"]
    assert smoke("--url", fault_server().url, *SUITE, *only) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "✓ health" in err
    assert "✓ completion" in err
    assert "2 passed, 0 failed, 0 skipped" in err


def test_a_wrong_endpoint_exits_1_and_shows_what_was_seen(
    fault_server: StartFaultServer, capsys: pytest.CaptureFixture[str]
) -> None:
    url = fault_server("wrong_text").url
    assert smoke("--url", url, *SUITE, "--only", "completion", "--only", "health") == 1
    err = capsys.readouterr().err
    assert "✗ completion" in err
    assert "Bananas." in err
    assert "New York is a city" in err
    assert "1 passed, 1 failed" in err
    assert "error: the endpoint does not answer rightly" in err


def test_json_is_the_report_and_nothing_else(
    fault_server: StartFaultServer, capsys: pytest.CaptureFixture[str]
) -> None:
    url = fault_server("model_list_wrong").url
    arguments = ["--url", url, "--model", "double", *SUITE, "--only", "model_list", "--json"]
    assert smoke(*arguments) == 1
    out, err = capsys.readouterr()
    assert err == ""
    report = json.loads(out)
    assert report["schema"] == "trt-nemotron/smoke-report/1"
    assert report["results"][0]["status"] == "fail"
    assert report["results"][0]["evidence"] == {"listed": ["other"]}


def test_the_report_is_written(fault_server: StartFaultServer, tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    url = fault_server().url
    assert smoke("--url", url, *SUITE, "--only", "health", "--out", str(out)) == 0
    assert json.loads(out.read_text())["suite"] == "embedded"
    assert json.loads(out.read_text())["model"] == "double"


def test_the_dialect_is_found_out(
    fault_server: StartFaultServer, capsys: pytest.CaptureFixture[str]
) -> None:
    url = fault_server(is_transformers=True).url
    assert smoke("--url", url, *SUITE, "--only", "model_list", "--only", "health") == 0
    err = capsys.readouterr().err
    assert "dialect transformers-serve" in err
    assert "– model_list" in err  # noqa: RUF001
    assert smoke("--url", url, *SUITE, "--only", "model_list", "--dialect", "openai") == 1


def test_nothing_but_skips_is_no_success(fault_server: StartFaultServer) -> None:
    url = fault_server(is_transformers=True).url
    assert smoke("--url", url, *SUITE, "--only", "model_list") == 1


@pytest.mark.parametrize("fault", ["web_page", "redirects"])
def test_a_url_that_is_no_endpoint_exits_11(
    fault_server: StartFaultServer, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert smoke("--url", fault_server(fault).url) == 11
    err = capsys.readouterr().err
    assert "evidence:" in err
    assert "next:" in err


def test_a_url_where_nothing_listens_exits_11(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert smoke("--url", f"http://127.0.0.1:{port}") == 11
    assert "nothing listens" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "either the name of an endpoint or --url"),
        (["name", "--url", "http://127.0.0.1:1"], "either the name of an endpoint or --url"),
        (["--url", "127.0.0.1:1"], "not the URL of a server"),
        (["nobody"], "the server 'nobody' is not on record"),
        (["--url", "http://127.0.0.1:1", "--only", "helth"], "Did you mean `health`"),
        (["--url", "http://127.0.0.1:1", "--suite", "nope"], "no suite 'nope'"),
        (["--url", "http://127.0.0.1:1", "--dialect", "nope"], "no dialect 'nope'"),
        (["--url", "http://127.0.0.1:1", "--api-key-env", "NO_SUCH"], "NO_SUCH is not set"),
        (["--url", "http://127.0.0.1:1", "--timeout", "0"], "--timeout"),
    ],
)
def test_wrong_usage_exits_2_and_says_what_is_wrong(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert smoke(*arguments) == 2
    assert message in capsys.readouterr().err


def test_the_key_is_taken_from_the_environment_and_shown_nowhere(
    fault_server: StartFaultServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ENDPOINT_KEY", "hunter2")
    server = fault_server("status_500")
    arguments = ["--url", server.url, *SUITE, "--only", "completion", "--only", "health"]
    assert smoke(*arguments, "--api-key-env", "ENDPOINT_KEY") == 1
    assert all(seen["authorization"] == "Bearer hunter2" for seen in server.headers)
    assert "hunter2" not in "".join(capsys.readouterr())


def test_evidence_cannot_steer_the_terminal(
    fault_server: StartFaultServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = tmp_path / "suite.yaml"
    text = (SUITES_FOLDER / "embedded.yaml").read_text()
    suite.write_text(text.replace("Where is New York?", "\\e]0;owned\\a[bold]"))
    assert smoke("--url", fault_server().url, "--suite", str(suite), "--only", "completion") == 1
    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert "[bold]" in err


def test_checks_and_suites_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert smoke("--list") == 0
    out = capsys.readouterr().out
    assert all(f"{name} " in out for name in CHECKS)
    assert "embedded" in out
    assert smoke("--list", "--json") == 0
    assert json.loads(capsys.readouterr().out)["checks"].keys() == CHECKS.keys()
