"""By which interface the system sends to an address, asked of the kernel."""

import os
import socket
import struct
from typing import Any

_REQUEST = struct.Struct("=IHHIIBBBBBBBBI")  # struct nlmsghdr, struct rtmsg
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_NETLINK_ROUTE = 0
_RTM_NEWROUTE, _RTM_GETROUTE = 24, 26
_NLM_F_REQUEST = 1
_RTA_DST, _RTA_OIF = 1, 4
_RTMSG_SIZE = 12


def interface_to(family: int, socket_address: Any) -> str:
    """Name of the interface by which `socket_address` is reached, `lo` for this machine itself.

    See rtnetlink(7), https://man7.org/linux/man-pages/man7/rtnetlink.7.html.

    Raises:
        OSError: not Linux, or no route to it.
    """
    if not hasattr(socket, "AF_NETLINK"):
        raise OSError("this system has no netlink")
    packed = socket.inet_pton(family, socket_address[0].partition("%")[0])
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_ROUTE) as netlink:
        netlink.send(_question(family, packed))
        return socket.if_indextoname(_outgoing_index(netlink.recv(65536)))


def _question(family: int, packed: bytes) -> bytes:
    attribute = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(packed), _RTA_DST) + packed
    size = _REQUEST.size + len(attribute)
    bits = 8 * len(packed)
    return (
        _REQUEST.pack(size, _RTM_GETROUTE, _NLM_F_REQUEST, 1, 0, family, bits, 0, 0, 0, 0, 0, 0, 0)
        + attribute
    )


def _outgoing_index(answer: bytes) -> int:
    size, kind, *_ = _HEADER.unpack_from(answer)
    if kind != _RTM_NEWROUTE:
        (status,) = struct.unpack_from("=i", answer, _HEADER.size)
        raise OSError(-status, os.strerror(-status))
    at = _HEADER.size + _RTMSG_SIZE
    while at + _ATTRIBUTE.size <= size:
        length, name = _ATTRIBUTE.unpack_from(answer, at)
        if name == _RTA_OIF:
            (index,) = struct.unpack_from("=I", answer, at + _ATTRIBUTE.size)
            return int(index)
        at += max(_ATTRIBUTE.size, (length + 3) & ~3)
    raise OSError("the route names no interface")
