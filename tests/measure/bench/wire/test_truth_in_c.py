"""The benchmarks' truth server in C: compiles without a warning, keeps its times, logs them."""

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux" or shutil.which("cc") is None, reason="Linux and a C compiler"
    ),
]
SOURCE = Path(__file__).parents[4] / "benchmarks" / "truth" / "truth_server.c"
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"]
STRICT = ["-std=c11", "-O2", *WARNINGS]
SANITISED = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def compile_to(program: Path, flags: list[str]) -> subprocess.CompletedProcess[str]:
    argv = ["cc", *flags, "-o", program, SOURCE]
    return subprocess.run(argv, check=False, capture_output=True, text=True)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("truth") / "truth_server"
    done = compile_to(program, STRICT + SANITISED)
    if "san" in done.stderr:  # a compiler without the sanitisers' libraries
        done = compile_to(program, STRICT)
    assert done.returncode == 0, done.stderr
    return program


@pytest.fixture
def port(program: Path) -> Iterator[int]:
    argv = [program, "--port", "0", "--ttft-us", "20000", "--interval-us", "3000"]
    server = subprocess.Popen(
        [*argv, "--tokens", "5", "--until-eof"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.stdout is not None
    yield int(server.stdout.readline())
    _, said = server.communicate(timeout=20)  # its input ends, and so does it
    assert (server.returncode, said) == (0, "")


def ask(port: int, method: str, path: str, body: bytes = b"", piece: int = 1 << 20) -> bytes:
    """A whole answer; the request is sent in pieces."""
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\ncontent-LENGTH: {len(body)}\r\n\r\n"
    request = head.encode() + body
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(request), piece):
            connection.sendall(request[at : at + piece])
        answer = b""
        while not is_whole(answer):
            data = connection.recv(1 << 16)
            if not data:
                break
            answer += data
    return answer


def is_whole(answer: bytes) -> bool:
    head, blank, body = answer.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return body.endswith(b"0\r\n\r\n") if not length else bool(blank) and len(body) >= int(length)


def log_of(port: int) -> dict[str, Any]:
    log: dict[str, Any] = json.loads(ask(port, "GET", "/log").partition(b"\r\n\r\n")[2])
    return log


def test_a_stream_has_its_tokens_and_the_log_their_times(port: int):
    body = b'{"n": 17, "stream": true, "messages": [{"content": "four words are here"}]}'
    answer = ask(port, "POST", "/v1/chat/completions", body)
    assert answer.count(b'{"content":" word"}') == 5
    assert b'"role":"assistant"' in answer
    assert b'"prompt_tokens":4,"completion_tokens":5' in answer
    assert b"data: [DONE]\n\n" in answer
    log = log_of(port)
    (told,) = log["answers"]
    assert (told["n"], told["wished"], told["is_broken"], log["blocked"]) == (17, 5, False, 0)
    assert told["arrived_ns"] <= told["read_ns"]
    for place, sent in enumerate(told["sent_ns"]):
        assert sent >= told["arrived_ns"] + 20_000_000 + place * 3_000_000
    assert told["sent_ns"] == sorted(told["sent_ns"])


def test_a_request_in_single_bytes_is_one_request(port: int):
    body = b'{"stream":true,"max_tokens":2}'
    assert ask(port, "POST", "/v1/chat/completions", body, piece=1).count(b'" word"') == 2
    assert [answer["wished"] for answer in log_of(port)["answers"]] == [2]


def test_one_connection_serves_one_request_after_the_other(port: int):
    body = b'{"stream":true,"max_tokens":1}'
    request = b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        for _ in range(3):
            connection.sendall(request)
            answer = b""
            while not answer.endswith(b"0\r\n\r\n"):
                answer += connection.recv(1 << 16)
    assert len(log_of(port)["answers"]) == 3


def test_who_leaves_is_marked_and_harms_nobody(port: int):
    body = b'{"n":1,"stream":true,"max_tokens":500}'
    request = b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        connection.recv(100)
    ask(port, "POST", "/v1/chat/completions", b'{"n":2,"stream":true}')
    broken = {answer["n"]: answer["is_broken"] for answer in log_of(port)["answers"]}
    assert broken == {1: True, 2: False}


def test_the_log_can_be_forgotten(port: int):
    ask(port, "POST", "/v1/chat/completions", b'{"stream":true}')
    assert ask(port, "DELETE", "/log").startswith(b"HTTP/1.1 200")
    assert log_of(port) == {"blocked": 0, "answers": []}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/models", b"200"), ("GET", "/health", b"200"), ("GET", "/x", b"404")],
)
def test_other_questions_are_answered(port: int, method: str, path: str, status: bytes):
    assert ask(port, method, path).split(b" ")[1] == status


def test_without_a_stream_the_answer_is_plain_and_not_logged(port: int):
    answer = ask(port, "POST", "/v1/chat/completions", b'{"stream": false}')
    assert b'"object":"chat.completion"' in answer
    assert log_of(port)["answers"] == []


@pytest.mark.parametrize("wrong", [["--tokens", "0"], ["--port", "x"], ["--odd"], ["extra"]])
def test_a_wrong_option_is_refused(program: Path, wrong: list[str]):
    assert subprocess.run([program, *wrong], check=False, capture_output=True).returncode == 2
