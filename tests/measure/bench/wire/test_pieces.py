"""A late reader takes event by event, so that each has its stamp; real sockets, real stamps."""

import socket
import struct
import sys
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.measure.bench.wire.pieces import Pieces, cut_at_events
from trt_nemotron.measure.bench.wire.stamps import ANCILLARY_SIZE, ask_for_kernel_stamps

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernel stamps are Linux's")
EVENT = b"data: {}\n\n"


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Server's end and client's end of a connection; the client's is stamped."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    with near, far:
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        assert ask_for_kernel_stamps(near)
        # As in an established stream: what is acknowledged at once, the kernel joins at once.
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        await_stamping(far, near)
        near.setblocking(False)  # noqa: FBT003 - the standard library has no name for it
        yield far, near


def await_stamping(far: socket.socket, near: socket.socket) -> None:
    """The kernel begins to stamp a little after it was asked: until then reads come without."""
    for _ in range(400):
        far.sendall(b"\n")
        if near.recvmsg(1, ANCILLARY_SIZE)[1]:
            return
        time.sleep(0.005)
    raise AssertionError("the kernel stamps nothing")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def read_all(near: socket.socket, pieces: Pieces) -> list[tuple[bytes, bytes]]:
    """What each read brought, and its stamp."""
    found = []
    while True:
        try:
            size = pieces.next_size(near)
            data, ancillary, _, _ = near.recvmsg(size, ANCILLARY_SIZE)
        except BlockingIOError:
            return found
        if not data:
            return found
        found.append((data, ancillary[0][2]))


@pytest.mark.parametrize("frame", [bytes, chunk])
def test_events_that_wait_are_read_one_by_one(pair, frame):
    far, near = pair
    sent = [frame(b"data: %b\n\n" % (b"x" * size)) for size in (5, 300, 7, 90, 8, 8)]
    for event in sent:
        far.sendall(event)
        time.sleep(0.002)
    found = read_all(near, Pieces())
    assert b"".join(data for data, _ in found) == b"".join(sent)
    # On a busy machine the kernel joins some that wait; what is read never ends within an event.
    ends = {sum(map(len, sent[: count + 1])) for count in range(len(sent))}
    assert {sum(len(data) for data, _ in found[: count + 1]) for count in range(len(found))} <= ends
    stamps = [struct.unpack("@ll", stamp) for _, stamp in found]
    assert stamps == sorted(stamps)
    assert len(set(stamps)) > 1  # all at once would have had one


def test_a_read_in_time_is_one_call_however_long_the_event(pair):
    far, near = pair
    pieces = Pieces()
    for size in (10, 400, 20, 20_000, 1):
        far.sendall(EVENT.replace(b"{}", b"x" * size))
        time.sleep(0.005)
        assert len(read_all(near, pieces)) == 1


def test_bytes_without_any_event_are_read_as_well(pair):
    far, near = pair
    far.sendall(b"x" * 1000)
    time.sleep(0.005)
    assert b"".join(data for data, _ in read_all(near, Pieces())) == b"x" * 1000


def test_the_end_of_the_connection_is_seen(pair):
    far, near = pair
    far.sendall(EVENT * 3)
    far.close()
    time.sleep(0.005)
    pieces = Pieces()
    assert b"".join(data for data, _ in read_all(near, pieces)) == EVENT * 3
    assert near.recv(pieces.next_size(near)) == b""


@given(st.lists(st.sampled_from([b"a", b"\n", b"\r", b"\r\n", b"data: x", b"5\r\n"]), max_size=30))
def test_pieces_are_the_whole_and_end_where_events_do(parts: list[bytes]):
    data = b"".join(parts)
    sizes = cut_at_events(data)[::-1]
    assert sum(sizes) == len(data)
    assert all(size > 0 for size in sizes)
    at = 0
    for size in sizes[:-1]:
        at += size
        assert data[:at].endswith((b"\n\n", b"\r\n\r\n", b"\n\r\n"))
