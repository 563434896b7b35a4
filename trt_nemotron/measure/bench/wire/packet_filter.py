"""Which packets the capture ring takes, as a program that the kernel runs on each of them.

Classic BPF, see https://docs.kernel.org/networking/filter.html. Taken are TCP segments that carry
data, and the answer to a connection's first one (SYN-ACK), which tells where counting begins: those
to the server as they leave, those from it as they arrive. So the loopback interface, which shows
every packet twice, gives each once, and a pure acknowledgement costs nothing.

Of each packet, the IP header and the first twenty bytes of the TCP header are kept, never content.
"""

import socket
import struct
from array import array
from collections.abc import Sequence

SO_ATTACH_FILTER = 26
_INSTRUCTION = struct.Struct("=HBBI")
_ANCILLARY = 0xFFFFF000  # SKF_AD_OFF
_PROTOCOL, _PACKET_TYPE = _ANCILLARY, _ANCILLARY + 4
_OUTGOING = 4  # PACKET_OUTGOING
_ETHERNET = {socket.AF_INET: 0x0800, socket.AF_INET6: 0x86DD}
_TCP = 6
_IPV6_HEADER = 40
_TCP_HEADER = 20

LOAD_WORD, LOAD_HALF, LOAD_BYTE = 0x20, 0x28, 0x30
LOAD_HALF_AT_X, LOAD_BYTE_AT_X = 0x48, 0x50
LOAD_X, LOAD_X_HEADER_LENGTH, LOAD_X_MEMORY, STORE = 0x01, 0xB1, 0x61, 0x02
ADD, ADD_X, AND, SHIFT_RIGHT, COPY_X = 0x04, 0x0C, 0x54, 0x74, 0x87
EQUAL, GREATER_THAN_X, ANY_BIT, RETURN, RETURN_A = 0x15, 0x2D, 0x45, 0x06, 0x16

Step = tuple[int, int, str, str]
"""Operation, operand, and the labels to go to when a comparison holds and when it does not; empty
is the next step."""


def packet_filter(family: int, port: int) -> bytes:
    """The program for the TCP traffic with `port` of some server over one family of IP."""
    begin = _ipv4_begin() if family == socket.AF_INET else _ipv6_begin()
    program: list[tuple[str, Step]] = [
        ("", (LOAD_WORD, _PROTOCOL, "", "")),
        ("", (EQUAL, _ETHERNET[socket.AddressFamily(family)], "", "reject")),
        *begin,
        ("", (LOAD_WORD, _PACKET_TYPE, "", "")),
        ("", (EQUAL, _OUTGOING, "outgoing", "")),
        ("", (LOAD_HALF_AT_X, 0, "", "")),
        ("", (EQUAL, port, "ours", "reject")),
        ("outgoing", (LOAD_HALF_AT_X, 2, "", "")),
        ("", (EQUAL, port, "sent", "reject")),
        ("ours", (LOAD_BYTE_AT_X, 13, "", "")),
        ("", (ANY_BIT, 0x02, "accept", "sent")),
        ("sent", (LOAD_BYTE_AT_X, 12, "", "")),
        ("", (AND, 0xF0, "", "")),
        ("", (SHIFT_RIGHT, 2, "", "")),
        *_is_longer_than_headers(family),
        ("accept", (COPY_X, 0, "", "")),
        ("", (ADD, _TCP_HEADER, "", "")),
        ("", (RETURN_A, 0, "", "")),
        ("reject", (RETURN, 0, "", "")),
    ]
    return _assemble(program)


def attach_filter(connection: socket.socket, program: bytes) -> None:
    """Let the kernel hand this socket only what `program` takes."""
    steps = array("B", program)
    count = len(program) // _INSTRUCTION.size
    # struct sock_fprog: a count and a pointer, which is good as long as `steps` is there
    pointer = struct.pack("@HP", count, steps.buffer_info()[0])
    connection.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, pointer)
    del steps


def _ipv4_begin() -> list[tuple[str, Step]]:
    """TCP, not a later fragment; X is where the TCP header begins."""
    return [
        ("", (LOAD_BYTE, 9, "", "")),
        ("", (EQUAL, _TCP, "", "reject")),
        ("", (LOAD_HALF, 6, "", "")),
        ("", (ANY_BIT, 0x1FFF, "reject", "")),
        ("", (LOAD_X_HEADER_LENGTH, 0, "", "")),
    ]


def _ipv6_begin() -> list[tuple[str, Step]]:
    """The same; TCP behind extension headers is not looked for."""
    return [
        ("", (LOAD_BYTE, 6, "", "")),
        ("", (EQUAL, _TCP, "", "reject")),
        ("", (LOAD_X, _IPV6_HEADER, "", "")),
    ]


def _is_longer_than_headers(family: int) -> list[tuple[str, Step]]:
    """With the TCP header's length in A: on to `accept` where data follow it.

    A length of zero is a packet of more than 64 KiB (https://lwn.net/Articles/884104/).
    """
    if family == socket.AF_INET:
        length_at, own = 2, [("", (ADD_X, 0, "", ""))]
    else:
        length_at, own = 4, []
    return [
        *own,
        ("", (STORE, 0, "", "")),
        ("", (COPY_X, 0, "", "")),
        ("", (STORE, 1, "", "")),
        ("", (LOAD_X_MEMORY, 0, "", "")),
        ("", (LOAD_HALF, length_at, "", "")),
        ("", (EQUAL, 0, "far", "")),
        ("", (GREATER_THAN_X, 0, "far", "reject")),
        ("far", (LOAD_X_MEMORY, 1, "", "")),
    ]


def _assemble(program: Sequence[tuple[str, Step]]) -> bytes:
    places = {label: place for place, (label, _) in enumerate(program) if label}
    return b"".join(
        _INSTRUCTION.pack(
            operation,
            places[holds] - place - 1 if holds else 0,
            places[fails] - place - 1 if fails else 0,
            operand,
        )
        for place, (_, (operation, operand, holds, fails)) in enumerate(program)
    )
