import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from trt_nemotron.errors import EndpointUnfit
from trt_nemotron.openai.client import Client
from trt_nemotron.openai.dialect import OPENAI, TRANSFORMERS_SERVE
from trt_nemotron.openai.request import ChatRequest
from trt_nemotron.openai.transport import Timeouts

COUNT = ChatRequest(
    messages=({"role": "user", "content": "Count from 1 to 10."},),
    max_tokens=64,
    is_thinking_enabled=False,
)
THOUGHT = ChatRequest(
    messages=({"role": "user", "content": "Which number is bigger, 9.11 or 9.9?"},),
    max_tokens=128,
    is_thinking_enabled=True,
)
HASTE = Timeouts(connect_s=0.25, read_s=0.25, total_s=0.25)

Server = Callable[..., Any]


@contextmanager
def raw_server(reply: bytes) -> Iterator[str]:
    """A server that sends these bytes to whoever connects, whatever is asked."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.recv(65536)
                connection.sendall(reply)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):  # what is left unread would make the end a reset
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def http(body: str, status: int = 200, content_type: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nConnection: close\r\n"
    return f"{head}Content-Length: {len(body.encode())}\r\n\r\n{body}".encode()


def test_a_stream_and_a_whole_answer_say_the_same(fault_server: Server) -> None:
    client = Client(fault_server().url)
    whole, streamed = client.chat(THOUGHT), client.stream(THOUGHT)
    assert whole.content == streamed.content == "9.9 is bigger."
    assert whole.reasoning == streamed.reasoning
    assert whole.usage == streamed.usage
    assert whole.finish_reason == streamed.finish_reason == "stop"
    assert streamed.saw_done
    assert streamed.token_chunks > 10
    assert streamed.chunks[-1].kind == "done"
    assert whole.role == streamed.role == "assistant"


def test_tool_calls_are_put_together_from_their_fragments(fault_server: Server) -> None:
    tools = [
        {
            "type": "function",
            "function": {
                "name": "add_to_list",
                "description": "Add items to the shopping list.",
                "parameters": {
                    "type": "object",
                    "properties": {"items": {"type": "array", "items": {"type": "string"}}},
                    "required": ["items"],
                },
            },
        }
    ]
    request = ChatRequest(
        messages=({"role": "user", "content": "Put milk and bread on the shopping list."},),
        max_tokens=64,
        is_thinking_enabled=False,
        tools=tools,
    )
    client = Client(fault_server().url)
    assert client.stream(request).tool_calls == client.chat(request).tool_calls
    (call,) = client.chat(request).tool_calls
    assert (call.id, call.name, call.arguments) == (
        "call_1",
        "add_to_list",
        '{"items": ["milk", "bread"]}',
    )


def test_a_stream_is_closed_when_its_reader_has_enough(fault_server: Server) -> None:
    seen: list[str] = []

    def wants_more(chunk: Any) -> bool:
        seen.append(chunk.kind)
        return len(seen) < 3

    answer = Client(fault_server("never_ends").url).stream(COUNT, wants_more)
    assert answer.is_cancelled
    assert len(answer.chunks) == len(seen) == 3


def test_models_slots_and_health(fault_server: Server) -> None:
    client = Client(fault_server().url)
    (entry,) = client.models()
    assert (entry.id, entry.context_tokens) == ("double", 4096)
    assert client.slots() == 4
    assert client.health().status == 200
    assert client.having(dialect=TRANSFORMERS_SERVE).slots() == 1
    assert client.detect_dialect() is OPENAI
    client.expect_endpoint()


def test_slots_of_a_server_that_does_not_tell(fault_server: Server) -> None:
    assert Client(fault_server(tells_slots=False).url).slots() is None


def test_the_model_is_named_when_one_was_chosen(fault_server: Server) -> None:
    server = fault_server()
    Client(server.url, model="double").chat(COUNT)
    Client(server.url).chat(COUNT)
    assert [request.get("model") for request in server.requests] == ["double", None]


def test_the_key_goes_into_the_header_and_nowhere_else(fault_server: Server) -> None:
    server = fault_server("status_500")
    with pytest.raises(EndpointUnfit) as caught:
        Client(server.url, api_key="hunter2").chat(COUNT)
    assert server.headers[-1]["authorization"] == "Bearer hunter2"
    assert "hunter2" not in str(caught.value)


def test_no_proxy_of_the_environment_is_used(
    fault_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert Client(fault_server().url).health().status == 200


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("hang_before_headers", "silent|did not end"),
        ("hang_after_headers", "silent|did not end"),
        ("hang_mid_stream", "silent|did not end"),
        ("never_ends", "did not end within 0.25 s"),
        ("drips_for_ever", "did not end within 0.25 s"),
        ("in_band_error", "an error came inside the stream"),
        ("broken_event", "an error came inside the stream"),
        ("fin_mid_stream", "broke before the answer was whole"),
        ("fin_unframed", "without a finish reason"),
        ("reset_mid_stream", "broke before the answer was whole"),
        ("no_finish_reason", "without a finish reason"),
        ("status_429", "status 429"),
        ("status_503", "status 503"),
        ("redirects", "sends us elsewhere"),
        ("web_page", "it is a web page"),
        ("ignores_stream", "without a finish reason"),
    ],
)
def test_a_stream_that_goes_wrong_is_an_error_in_time(
    fault_server: Server, fault: str, message: str
) -> None:
    client = Client(fault_server(fault).url, timeouts=HASTE)
    started = time.monotonic()
    with pytest.raises(EndpointUnfit, match=message) as caught:
        client.stream(COUNT)
    assert time.monotonic() - started < 5
    assert caught.value.exit_code == 11
    assert caught.value.evidence


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("slow", "silent|did not end"),
        ("hang_before_headers", "silent|did not end"),
        ("drips_headers", "did not end within 0.25 s"),
        ("error_with_200", "an error in it"),
        ("status_429", "status 429"),
        ("redirects", "sends us elsewhere"),
        ("web_page", "it is not JSON"),
    ],
)
def test_a_whole_answer_that_goes_wrong_is_an_error_in_time(
    fault_server: Server, fault: str, message: str
) -> None:
    client = Client(fault_server(fault).url, timeouts=HASTE)
    started = time.monotonic()
    with pytest.raises(EndpointUnfit, match=message):
        client.chat(COUNT)
    assert time.monotonic() - started < 5


def test_a_missing_done_is_a_fact_and_no_error(fault_server: Server) -> None:
    answer = Client(fault_server("missing_done").url).stream(COUNT)
    assert not answer.saw_done
    assert answer.finish_reason == "stop"


def test_what_comes_after_done_is_kept_apart(fault_server: Server) -> None:
    answer = Client(fault_server("data_after_done").url).stream(COUNT)
    assert answer.content == "1, 2, 3, 4, 5, 6, 7, 8, 9, 10"
    assert len(answer.after_done) == 1


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(EndpointUnfit, match="nothing listens") as caught:
        Client(f"http://127.0.0.1:{port}").health()
    assert "Connection refused" in caught.value.evidence
    assert caught.value.next_step


def test_a_host_that_does_not_exist() -> None:
    with pytest.raises(EndpointUnfit, match="host name"):
        Client("http://nowhere.invalid").health()


def test_tls_with_a_server_that_has_none(fault_server: Server) -> None:
    url = fault_server().url.replace("http:", "https:")
    with pytest.raises(EndpointUnfit, match="TLS"):
        Client(url, timeouts=Timeouts(2, 2, 2)).health()


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (http("not JSON"), "not JSON"),
        (http("[]"), "the body is not an object"),
        (http('{"choices": []}'), "choices"),
        (http('{"choices": [{"message": {"content": 3}}]}'), "`content` is not a string"),
        (http('{"choices": [{"message": {"tool_calls": 3}}]}'), "`tool_calls` is not a list"),
        (http('{"detail": "no such model"}', 404), "status 404"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "broke before the answer"),
        (b"", "broke before the answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", "broke before the answer"),
    ],
)
def test_what_is_no_chat_completion_is_told(reply: bytes, message: str) -> None:
    with raw_server(reply) as url, pytest.raises(EndpointUnfit, match=message):
        Client(url).chat(COUNT)


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"data": "\xed\xa0\x80"}'], ids=["deep", "no UTF-8"]
)
def test_json_that_cannot_be_read_is_none_whatever_is_asked(body: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    reply = head.encode() + body
    with raw_server(reply) as url:
        assert Client(url).slots() is None
    with raw_server(reply) as url:
        assert Client(url).detect_dialect() is OPENAI
    with raw_server(reply) as url, pytest.raises(EndpointUnfit, match="it is not JSON"):
        Client(url).models()
    refusal = reply.replace(b"200 OK", b"400 Bad Request")
    with raw_server(refusal) as url, pytest.raises(EndpointUnfit, match="status 400"):
        Client(url).chat(COUNT)


def test_a_body_without_end_is_cut_at_a_limit() -> None:
    endless = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + b" " * (33 << 20)
    with raw_server(endless) as url, pytest.raises(EndpointUnfit, match="larger than 32 MiB"):
        Client(url).chat(COUNT)


def test_the_last_event_without_its_blank_line_is_told() -> None:
    body = 'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]'
    with raw_server(http(body, content_type="text/event-stream")) as url:
        answer = Client(url).stream(COUNT)
    assert answer.unfinished == "[DONE]"
    assert not answer.saw_done


@pytest.mark.parametrize("path", ["/", "/index.html"])
def test_a_web_server_is_no_endpoint(path: str) -> None:
    with raw_server(http("<html>", 404, "text/html")) as url:
        with pytest.raises(EndpointUnfit, match="status 404") as caught:
            Client(url + path).expect_endpoint()
        assert "OpenAI-compatible" in caught.value.next_step


def test_no_thread_and_no_socket_is_left(fault_server: Server) -> None:
    server = fault_server()
    client = Client(server.url)
    before = threading.active_count()
    for _ in range(5):
        client.stream(COUNT)
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before
