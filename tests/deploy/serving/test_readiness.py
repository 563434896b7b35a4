"""Each gate of readiness by itself, with a scripted server and a clock that nobody waits for."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.deploy.runtimes.protocol import Launch
from trt_nemotron.deploy.serving.log import LogReader
from trt_nemotron.deploy.serving.readiness import (
    NotReady,
    Question,
    Readiness,
    _has_token,
    _model_names,
    tells_address,
)
from trt_nemotron.deploy.serving.transport import Reply

URL = "http://127.0.0.1:9"
TOKEN = {"choices": [{"message": {"content": "H"}}], "usage": {"completion_tokens": 1}}
MODELS = {"data": [{"id": "m"}]}


def reply(tree: object, status: int = 200) -> Reply:
    return Reply(status=status, body=json.dumps(tree).encode())


class ScriptedServer:
    """Its answers by route, the last one for ever; its clock goes on when somebody waits."""

    def __init__(self, **answers: list[Reply]) -> None:
        self.now = 0.0
        self.ends_at = float("inf")
        self.asked: list[str] = []
        self._answers = {
            "/health": answers.get("health", [reply({})]),
            "/v1/models": answers.get("models", [reply(MODELS)]),
            "/health_generate": answers.get("generate", [reply({})]),
            "/v1/chat/completions": answers.get("token", [reply(TOKEN)]),
        }

    def __call__(self, url: str, body: object | None, timeout_s: float) -> Reply:
        route = url.removeprefix(URL)
        self.asked.append(route)
        answers = self._answers[route]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def pause(self, timeout_s: float) -> str:
        self.now += timeout_s
        return "the server ended" if self.now >= self.ends_at else ""


class Phases:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def phase(self, text: str) -> None:
        self.seen.append(text)

    def step(self, done: int, total: int, unit: str) -> None:
        pass

    def note(self, text: str) -> None:
        pass


def wait(server: ScriptedServer, log: Path | None = None, **facts: Any) -> tuple[str, list[str]]:
    launch = Launch(
        argv=("server",),
        environment={},
        phases=facts.pop("phases", ()),
        ready_pattern=facts.pop("ready_pattern", ""),
        is_model_listed=facts.pop("is_model_listed", True),
        generate_route=facts.pop("generate_route", ""),
        warmups=facts.pop("warmups", 0),
    )
    phases = Phases()
    question = Question(launch, facts.pop("url", URL), "m", timeout_s=10.0)
    readiness = Readiness(
        question,
        server=server,
        log=LogReader(log or Path("/no/such/log")),
        transport=server,
        progress=phases,
        clock=lambda: server.now,
    )
    return readiness.wait(), phases.seen


NO_CONNECTION = Reply(fault="no connection")
NOT_YET = reply({"error": "loading"}, 503)


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"health": [NO_CONNECTION, NOT_YET, reply({})]},
        {"health": [reply({}, 404)]},
        {"models": [reply({}, 404)]},
        {"models": [NO_CONNECTION, reply({"data": []}), reply({}, 500), reply(MODELS)]},
        {"token": [NO_CONNECTION, NOT_YET, reply({}, 429), reply(TOKEN)]},
        {"token": [reply({"choices": [{"message": {"reasoning_content": "x"}}]})]},
    ],
)
def test_ready_in_the_end(answers: dict[str, list[Reply]]):
    server = ScriptedServer(**answers)
    assert wait(server)[0] == URL
    assert server.asked[-1] == "/v1/chat/completions"


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"health": [reply({}, 500)]}, "/health: HTTP 500"),
        ({"health": [NO_CONNECTION]}, "no connection"),
        ({"models": [reply({"data": [{"id": "x"}]})]}, "serves x, not m"),
        ({"models": [reply({"data": []})]}, "/v1/models"),
        ({"models": [Reply(status=200, body=b"<html>")]}, "/v1/models"),
        ({"token": [reply({"error": "no"}, 400)]}, "refused a first request: HTTP 400"),
        ({"token": [reply({}, 500)]}, "HTTP 500"),
        ({"token": [reply({"choices": []})]}, "no token"),
        ({"token": [reply({"choices": [{"message": {"content": ""}}]})]}, "no token"),
        ({"token": [Reply(status=200, body=b"<html>")]}, "no token"),
        ({"token": [NOT_YET]}, "waiting for a first token"),
    ],
)
def test_never_ready_and_why(answers: dict[str, list[Reply]], words: str):
    with pytest.raises(NotReady) as caught:
        wait(ScriptedServer(**answers))
    assert words in str(caught.value)


@pytest.mark.parametrize("route", ["health", "models", "token"])
def test_the_end_of_the_server_is_noticed_at_every_gate(route: str):
    server = ScriptedServer(**{route: [NO_CONNECTION]})
    server.ends_at = 0.5
    with pytest.raises(NotReady, match="the server ended before it was ready"):
        wait(server)
    assert server.now < 1.0


def test_a_server_that_ended_after_its_token_is_not_ready():
    server = ScriptedServer()
    server.ends_at = 0.0
    with pytest.raises(NotReady, match="the server ended"):
        wait(server)


def test_the_list_of_models_is_not_asked_where_it_is_no_use():
    server = ScriptedServer()
    wait(server, is_model_listed=False)
    assert "/v1/models" not in server.asked


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/"])
def test_the_address_comes_from_the_log(tmp_path: Path, end: str):
    log = tmp_path / "log"
    log.write_text(f"noise\nlistening on {URL}{end} now\n")
    assert wait(ScriptedServer(), log, url="", ready_pattern=r"on (?P<url>http\S+)")[0] == URL


def test_nobody_is_asked_before_the_log_says_that_it_listens(tmp_path: Path):
    log = tmp_path / "log"
    log.write_text("loading\n")
    server = ScriptedServer()
    with pytest.raises(NotReady, match="still starting the server"):
        wait(server, log, ready_pattern="listening")
    assert server.asked == []


def test_an_address_that_was_chosen_is_not_replaced_by_the_log(tmp_path: Path):
    log = tmp_path / "log"
    log.write_text("listening on http://0.0.0.0:1\n")
    assert wait(ScriptedServer(), log, ready_pattern=r"on (?P<url>http\S+)")[0] == URL


def test_phases_of_the_log_are_shown_once_and_in_order(tmp_path: Path):
    log = tmp_path / "log"
    log.write_text("a1\na2\nb\na3\nlistening\n")
    phases = (("^a", "reading"), ("^b", "compiling"))
    _, seen = wait(ScriptedServer(), log, phases=phases, ready_pattern="listening")
    assert [phase for phase in seen if phase in {"reading", "compiling"}] == [
        "reading",
        "compiling",
    ]


@pytest.mark.parametrize(
    ("pattern", "tells"), [("", False), ("up", False), (r"at (?P<url>\S+)", True)]
)
def test_whether_a_server_tells_its_address(pattern: str, tells: bool):
    assert tells_address(Launch(argv=("x",), environment={}, ready_pattern=pattern)) is tells


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["data", "id", "choices", "message", "content", "usage"]) | st.text(),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_no_answer_however_odd_breaks_the_reader(tree: object):
    assert all(isinstance(name, str) for name in _model_names(tree))
    assert _has_token(tree) in {True, False}


def test_a_server_with_a_probe_that_generates_is_asked_by_it_first():
    server = ScriptedServer(generate=[NO_CONNECTION, NOT_YET, reply({})])
    wait(server, generate_route="/health_generate")
    assert server.asked == ["/health", "/v1/models", *3 * ["/health_generate"],
                            "/v1/chat/completions"]  # fmt: skip


@pytest.mark.parametrize("status", [404, 405])
def test_a_server_without_that_probe_is_asked_for_a_token_all_the_same(status: int):
    server = ScriptedServer(generate=[reply({}, status)])
    assert wait(server, generate_route="/health_generate")[0] == URL


def test_a_probe_that_fails_is_a_server_that_is_not_ready():
    server = ScriptedServer(generate=[reply({"error": "CUDA"}, 500)])
    with pytest.raises(NotReady, match="own probe fails: /health_generate: HTTP 500"):
        wait(server, generate_route="/health_generate")


def test_a_server_is_warmed_up_before_it_counts_as_ready():
    server = ScriptedServer()
    _, phases = wait(server, warmups=3)
    assert server.asked.count("/v1/chat/completions") == 4
    assert phases[-1] == "warming up (3 of 3)"


def test_a_warm_up_that_fails_is_no_readiness():
    server = ScriptedServer(token=[reply(TOKEN), reply(TOKEN), reply({}, 500)])
    with pytest.raises(NotReady, match="HTTP 500"):
        wait(server, warmups=3)
