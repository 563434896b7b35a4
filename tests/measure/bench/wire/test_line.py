"""A line to the server, over real sockets."""

import selectors
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from trt_nemotron.measure.bench.clock import SystemClock
from trt_nemotron.measure.bench.wire.address import resolve_address
from trt_nemotron.measure.bench.wire.line import Line, Socket

LONGEST_S = 5.0


@dataclass
class Heard:
    """What a line told whoever has it."""

    selector: selectors.BaseSelector
    opened: list[tuple[Socket, int]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def line_to(self, port: int) -> Line:
        return Line(
            resolve_address(f"http://127.0.0.1:{port}"),
            self.selector,
            SystemClock(),
            lambda opened, took_ns: self.opened.append((opened, took_ns)),
            self.refused.append,
            asks_for_stamps=False,
        )

    def serve_until(self, is_done: Callable[[], object]) -> None:
        give_up = time.monotonic() + LONGEST_S
        while not is_done() and time.monotonic() < give_up:
            for key, _ in self.selector.select(0.05):
                key.data()
        assert is_done()


@pytest.fixture
def heard() -> Iterator[Heard]:
    with selectors.DefaultSelector() as selector:
        yield Heard(selector)


def test_it_opens_tells_and_is_alive_until_the_server_closes(heard: Heard):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        line = heard.line_to(listener.getsockname()[1])
        assert line.is_closed
        line.open()
        assert not line.is_closed
        heard.serve_until(lambda: heard.opened)
        ((opened, took_ns),) = heard.opened
        assert took_ns > 0
        assert line.port == opened.getsockname()[1]
        server, _ = listener.accept()
        assert line.is_alive()
        server.close()
        heard.selector.modify(opened, selectors.EVENT_READ)
        assert heard.selector.select(LONGEST_S)
        assert not line.is_alive()
        line.close()
    assert line.is_closed
    assert not heard.refused
    assert not heard.selector.get_map()


def test_bytes_that_nobody_asked_for_are_no_life(heard: Heard):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        line = heard.line_to(listener.getsockname()[1])
        line.open()
        heard.serve_until(lambda: heard.opened)
        server, _ = listener.accept()
        with server:
            server.sendall(b"x")
            heard.selector.modify(heard.opened[0][0], selectors.EVENT_READ)
            assert heard.selector.select(LONGEST_S)
            assert not line.is_alive()
        line.close()


def test_where_nobody_listens_it_is_refused_and_closed(heard: Heard):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    line = heard.line_to(port)
    line.open()
    heard.serve_until(lambda: heard.refused)
    assert heard.refused == ["Connection refused"]
    assert line.is_closed
    assert not heard.opened
    assert not heard.selector.get_map()


def test_it_wakes_only_when_as_much_waits_and_at_the_first_byte_once_opened_again(heard: Heard):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        line = heard.line_to(listener.getsockname()[1])
        for least in (100, 100, 1):
            line.open()
            heard.serve_until(lambda: heard.opened)
            opened, _ = heard.opened.pop()
            line.wake_at(least)
            assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT) == least
            listener.accept()[0].close()
        line.close()
        line.wake_at(5)  # nothing to wake
