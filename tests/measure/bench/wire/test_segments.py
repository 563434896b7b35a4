"""What of a stream was there when, from segments in any order, more than once, across a wrap."""

import socket
import struct
import sys
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.measure.bench.wire.packet_ring import Block
from trt_nemotron.measure.bench.wire.segments import (
    Arrivals,
    Segment,
    follow_flows,
    read_segments,
)

WRAP = 1 << 32
PORT = 40_000


@st.composite
def sent_segments(draw):
    """A stream cut in pieces that come shuffled a little, some of them twice."""
    sizes = draw(st.lists(st.integers(1, 40), min_size=1, max_size=30))
    starts = [0, *accumulate(sizes)][:-1]
    pieces = list(zip(starts, sizes, strict=True))
    pieces += draw(st.lists(st.sampled_from(pieces), max_size=10))
    return draw(st.permutations(pieces)), sum(sizes)


@given(sent_segments(), st.one_of(st.integers(0, WRAP - 1), st.integers(WRAP - 600, WRAP - 1)))
def test_a_byte_is_there_once_every_byte_before_it_is(sent, first):
    pieces, size = sent
    arrivals = Arrivals(first)
    came = [0] * size
    for time, (begin, length) in enumerate(pieces, 1):
        arrivals.add((first + begin) % WRAP, length, time)
        for place in range(begin, begin + length):
            came[place] = came[place] or time
    truth = list(accumulate(came, max))
    found = []
    for end, time in zip(arrivals.ends, arrivals.times, strict=True):
        found += [time] * (end - len(found))
    assert found == truth
    assert arrivals.end == size


def test_what_comes_again_is_counted_and_changes_nothing():
    arrivals = Arrivals(100)
    for time, sequence in enumerate((100, 110, 100, 110, 120), 1):
        arrivals.add(sequence, 10, time)
    assert (list(arrivals.ends), list(arrivals.times)) == ([10, 20, 30], [1, 2, 5])
    assert arrivals.repeated == 2


def test_a_segment_that_repeats_and_goes_on_counts_for_what_is_new():
    arrivals = Arrivals(0)
    arrivals.add(0, 10, 1)
    arrivals.add(5, 20, 2)
    assert (list(arrivals.ends), list(arrivals.times)) == ([10, 25], [1, 2])
    assert arrivals.repeated == 0


def test_a_gap_that_never_closes_ends_what_is_known():
    arrivals = Arrivals(0)
    arrivals.add(0, 10, 1)
    arrivals.add(20, 10, 2)
    assert arrivals.end == 10


def test_stamps_that_fall_do_not_make_time_fall():
    arrivals = Arrivals(0)
    arrivals.add(0, 10, 5)
    arrivals.add(10, 10, 4)
    assert list(arrivals.times) == [5, 5]


def answer(sequence: int, acknowledged: int, wall_ns: int = 0) -> Segment:
    return segment(sequence, 0, wall_ns, acknowledged=acknowledged, is_syn=True)


def segment(
    sequence: int,
    size: int,
    wall_ns: int,
    *,
    is_sent: bool = False,
    port: int = PORT,
    acknowledged: int = 0,
    is_syn: bool = False,
) -> Segment:
    return Segment(wall_ns, is_sent, port, sequence, acknowledged, size, is_syn)


def test_counting_begins_behind_the_openings_own_number():
    flows = follow_flows(
        [
            answer(WRAP - 1, 50),
            segment(50, 7, 1, is_sent=True),
            segment(0, 9, 2, acknowledged=57),
            segment(0, 9, 3, port=PORT + 1),
        ]
    )
    assert list(flows) == [PORT]
    (flow,) = flows[PORT]
    assert (list(flow.sent.ends), list(flow.received.ends)) == ([7], [9])


def test_an_opening_sent_again_is_the_same_connection_and_a_port_may_be_used_again():
    flows = follow_flows([answer(10, 1), answer(10, 1, 5), answer(99, 2, 9)])
    assert [flow.opened_wall_ns for flow in flows[PORT]] == [0, 9]


def packet(family: int, data_size: int, *, kind: int, options: int = 0, length: int = 0) -> bytes:
    """One packet as the kernel leaves it in a block, with `options` more bytes of TCP header."""
    tcp = struct.pack(">HHIIBBHHH", 8000, PORT, 7, 9, (5 + options // 4) << 4, 0x18, 0, 0, 0)
    size = 20 + options + data_size
    if family == socket.AF_INET:
        ip = struct.pack(">BBHHHBBH8x", 0x45, 0, length or 20 + size, 0, 0, 64, 6, 0)
    else:
        ip = struct.pack(">IHBB32x", 6 << 28, length or size, 6, 64)
    net = 96
    content = bytes(net - 68) + ip + tcp
    step = -(-(68 + len(content)) // 16) * 16
    head = struct.pack("=6I2H20x", step, 3, 5, len(ip) + 20, len(ip) + size, 9, net, net)
    link = struct.pack("=HHIHBB8x", 17, 0, 1, 772, kind, 6)
    return (head + link + content).ljust(step, b"\0")


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
@pytest.mark.parametrize("options", [0, 12, 40])
def test_packets_of_both_families_are_read_whatever_options_they_carry(family, options):
    data = packet(family, 33, kind=0, options=options) + packet(family, 5, kind=4)
    received, sent = read_segments([Block(b"\0" * 48 + data, 48, 2)])
    assert received == segment(7, 33, 3_000_000_005, acknowledged=9)
    assert (sent.is_sent, sent.port, sent.size) == (True, 8000, 5)


def test_a_packet_too_large_for_its_own_header_is_as_long_as_the_kernel_says():
    """Length 0 in the header: more than 64 KiB."""
    data = bytearray(packet(socket.AF_INET, 100_000, kind=0, length=1))
    data[96 + 2 : 96 + 4] = b"\0\0"
    (found,) = read_segments([Block(bytes(data), 0, 1)])
    assert found.size == 100_000


@pytest.mark.parametrize("last_step", [True, False])
def test_a_block_of_like_packets_is_read_as_each_of_them_alone(last_step: bool):
    sizes = [(1, 0, 0), (900, 4, 0), (33, 0, 12), (7, 0, 12), (65_000, 4, 0)]
    packets = [packet(socket.AF_INET, n, kind=k, options=o) for n, k, o in sizes]
    step = max(map(len, packets))
    packets = [
        step.to_bytes(4, sys.byteorder) + part[4:].ljust(step - 4, b"\0") for part in packets
    ]
    alone = [segment for part in packets for segment in read_segments([Block(part, 0, 1)])]
    if not last_step:
        packets[-1] = bytes(4) + packets[-1][4:]
    block = Block(bytes(48) + b"".join(packets), 48, len(packets))
    assert list(read_segments([block])) == alone
    assert [(found.size, found.is_sent) for found in alone] == [(n, k == 4) for n, k, _ in sizes]


@pytest.mark.parametrize("odd", [0, 1, 2])
def test_one_packet_of_another_form_changes_none_of_the_others(odd: int):
    packets = [packet(socket.AF_INET, 10 + place, kind=0) for place in range(3)]
    options = bytearray(packets[odd])
    options[96] = 0x46  # an IPv4 header with options: four bytes more before TCP begins
    options[96 + 24 : 96 + 24 + 20] = packets[odd][96 + 20 : 96 + 40]
    packets[odd] = bytes(options)
    alone = [found for part in packets for found in read_segments([Block(part, 0, 1)])]
    assert list(read_segments([Block(b"".join(packets), 0, 3)])) == alone
    assert [found.sequence for found in alone] == [7, 7, 7]
