"""A connection reads at once, and looks later whether what it read is whole."""

import selectors
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from trt_nemotron.measure.bench.clock import SystemClock
from trt_nemotron.measure.bench.wire.address import resolve_address
from trt_nemotron.measure.bench.wire.connection import Connection
from trt_nemotron.measure.bench.wire.exchange import Exchange

_WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_LONGEST_S = 5.0


@dataclass
class _Talk:
    """One real connection, the server's end of it, and what was heard of it."""

    connection: Connection
    server: socket.socket
    selector: selectors.BaseSelector
    suspicions: list[Connection]
    ended: list[Exchange] = field(default_factory=list)

    def serve_until(self, is_reached: str) -> None:
        """Call back what is readable until the list of that name has something in it."""
        give_up = time.monotonic() + _LONGEST_S
        while not getattr(self, is_reached) and time.monotonic() < give_up:
            for key, _ in self.selector.select(0.05):
                key.data()
        assert getattr(self, is_reached), f"no {is_reached} within {_LONGEST_S} s"


@pytest.fixture
def talk() -> Iterator[_Talk]:
    suspicions: list[Connection] = []
    ended: list[Exchange] = []
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        selectors.DefaultSelector() as selector,
    ):
        address = resolve_address(f"http://127.0.0.1:{listener.getsockname()[1]}")
        connection = Connection(
            address,
            selector,
            SystemClock(),
            lambda _, exchange: ended.append(exchange),
            suspicions.append,
            asks_for_stamps=False,
        )
        connection.start(7, b"GET / HTTP/1.1\r\n\r\n")
        server, _ = listener.accept()
        with server:
            yield _Talk(connection, server, selector, suspicions, ended)
        connection.close()


def test_a_whole_response_ends_its_request_only_when_it_is_examined(talk: _Talk) -> None:
    talk.server.sendall(_WHOLE)
    talk.serve_until("suspicions")
    assert not talk.ended
    assert talk.connection.is_busy
    talk.connection.examine()
    assert [(e.index, e.ending, e.received) for e in talk.ended] == [(7, "complete", _WHOLE)]
    assert not talk.connection.is_busy


def test_it_is_suspected_once_however_much_comes_before_it_is_examined(talk: _Talk) -> None:
    talk.server.sendall(_WHOLE[:-2].replace(b": 2", b": 4") + b"ok")
    talk.serve_until("suspicions")
    talk.server.sendall(b"ay")
    assert talk.connection.is_busy
    for key, _ in talk.selector.select(_LONGEST_S):
        key.data()
    assert talk.suspicions == [talk.connection]
    talk.connection.examine()
    assert [e.received[-4:] for e in talk.ended] == [b"okay"]


def test_what_is_not_whole_goes_on_after_it_was_examined(talk: _Talk) -> None:
    talk.server.sendall(_WHOLE[:-1])
    talk.serve_until("suspicions")
    talk.connection.examine()
    assert not talk.ended
    talk.suspicions.clear()
    talk.server.sendall(_WHOLE[-1:])
    talk.serve_until("suspicions")
    talk.connection.examine()
    assert [e.ending for e in talk.ended] == ["complete"]


def test_a_response_that_was_whole_when_its_server_closed_is_complete(talk: _Talk) -> None:
    talk.server.sendall(_WHOLE)
    talk.serve_until("suspicions")
    talk.server.shutdown(socket.SHUT_WR)
    talk.serve_until("ended")
    assert [(e.ending, e.received) for e in talk.ended] == [("complete", _WHOLE)]


def test_one_that_was_not_is_closed(talk: _Talk) -> None:
    talk.server.sendall(_WHOLE[:-1])
    talk.serve_until("suspicions")
    talk.server.shutdown(socket.SHUT_WR)
    talk.serve_until("ended")
    assert [e.ending for e in talk.ended] == ["closed"]


def test_examining_without_suspicion_does_nothing(talk: _Talk) -> None:
    talk.connection.examine()
    assert not talk.ended
    assert talk.connection.is_busy
