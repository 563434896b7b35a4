"""The connections of a loop, over real sockets."""

import selectors
import socket
from collections.abc import Iterator
from functools import partial

import pytest

from trt_nemotron.measure.bench.clock import SystemClock
from trt_nemotron.measure.bench.wire.address import resolve_address
from trt_nemotron.measure.bench.wire.connection import Connection
from trt_nemotron.measure.bench.wire.exchange import Exchange
from trt_nemotron.measure.bench.wire.pool import SPARE_CONNECTIONS, Pool

LONGEST_NS = 5_000_000_000
CLOCK = SystemClock()


class _Site:
    """A server that accepts and says nothing, and pools of connections to it."""

    def __init__(self, listener: socket.socket, selector: selectors.BaseSelector) -> None:
        self.ended: list[Exchange] = []
        self.selector = selector
        self._make = partial(
            Connection,
            resolve_address(f"http://127.0.0.1:{listener.getsockname()[1]}"),
            selector,
            CLOCK,
            lambda _, exchange: self.ended.append(exchange),
            lambda _: None,
            asks_for_stamps=False,
        )
        self._pools: list[Pool] = []

    def pool(self, most: int, *, is_reusing: bool = True) -> Pool:
        self._pools.append(Pool(self._make, most, is_reusing=is_reusing))
        return self._pools[-1]

    def await_open(self, pool: Pool) -> None:
        pool.await_open(self.selector, CLOCK, CLOCK.monotonic_ns() + LONGEST_NS)
        assert all(it.is_open for it in pool.connections)

    def close(self) -> None:
        for pool in self._pools:
            pool.close()
        assert not self.selector.get_map()


@pytest.fixture
def site() -> Iterator[_Site]:
    with (
        socket.create_server(("127.0.0.1", 0), backlog=64) as listener,
        selectors.DefaultSelector() as selector,
    ):
        site = _Site(listener, selector)
        yield site
        site.close()


def test_the_first_one_opened_is_the_first_one_taken(site: _Site):
    pool = site.pool(3)
    pool.open_ahead(3)
    site.await_open(pool)
    assert [pool.take() for _ in range(3)] == pool.connections
    assert not pool.has_room


def test_no_more_are_opened_than_there_may_be(site: _Site):
    pool = site.pool(2)
    pool.open_ahead(9)
    assert len(pool.connections) == 2


def test_it_grows_with_need_and_keeps_a_few_ready(site: _Site):
    pool = site.pool(32)
    taken = [pool.take() for _ in range(3)]
    assert pool.connections == taken
    for _ in range(2 * SPARE_CONNECTIONS):
        pool.add_spare()
    assert len(pool.connections) == 3 + SPARE_CONNECTIONS
    assert pool.has_room


@pytest.mark.parametrize("is_reusing", [True, False])
def test_what_is_put_back_is_used_again_open_or_anew(site: _Site, *, is_reusing: bool):
    pool = site.pool(1, is_reusing=is_reusing)
    pool.open_ahead(1)
    site.await_open(pool)
    connection = pool.take()
    assert not pool.has_room
    pool.put_back([connection], is_opened_at_once=False)
    assert pool.has_room
    assert connection.is_open is is_reusing
    pool.take()
    pool.put_back([connection], is_opened_at_once=True)
    site.await_open(pool)


def test_a_request_that_takes_too_long_is_given_up(site: _Site):
    pool = site.pool(1)
    pool.open_ahead(1)
    site.await_open(pool)
    connection = pool.take()
    connection.start(4, b"GET / HTTP/1.1\r\n\r\n")
    pool.tend(connection.started_ns + 1_000_000_000, timeout_ns=1_000_000_000)
    assert not site.ended
    pool.tend(connection.started_ns + 1_000_000_001, timeout_ns=1_000_000_000)
    assert [(it.index, it.ending, it.fault) for it in site.ended] == [
        (4, "timeout", "not ended after 1 s")
    ]
