"""A process with all that it started, and the processor time that a family has used (Linux)."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_USER_TIME, _CHILDRENS_SYSTEM_TIME = 11, 15
"""Of the words after the name in `/proc/PID/stat`: utime, stime, cutime and cstime
(https://docs.kernel.org/filesystems/proc.html)."""
_LISTENS = "0A"
_STATE_OF_SOCKET, _ADDRESS, _INODE = 3, 1, 9


def family(pid: int, proc: Path = PROC) -> Iterator[int]:
    """The process and its descendants; one that ends meanwhile is left out."""
    yield pid
    with suppress(OSError):
        for thread in (proc / str(pid) / "task").iterdir():
            for child in (thread / "children").read_text(encoding="ascii").split():
                yield from family(int(child), proc)


def processor_seconds(pids: Iterable[int], proc: Path = PROC) -> float:
    """User and system time of some processes, and of those children that have ended."""
    ticks = 0
    for pid in pids:
        with suppress(OSError, ValueError):
            # The name, in brackets, may hold blanks and brackets.
            after = (proc / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
            ticks += sum(map(int, after[_USER_TIME:_CHILDRENS_SYSTEM_TIME]))
    return ticks / _TICKS_PER_S


def listener_of(port: int, proc: Path = PROC) -> int | None:
    """The process that listens on a TCP port; nothing where it is not ours to see."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port, proc)}
    if not sockets:
        return None
    for folder in proc.iterdir():
        if not folder.name.isdecimal():
            continue
        with suppress(OSError):
            if any(str(entry.readlink()) in sockets for entry in (folder / "fd").iterdir()):
                return int(folder.name)
    return None


def _listening_inodes(port: int, proc: Path) -> Iterator[str]:
    wanted = f":{port:04X}"
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (proc / "net" / table).read_text(encoding="ascii").splitlines()[1:]:
                words = line.split()
                if words[_STATE_OF_SOCKET] == _LISTENS and words[_ADDRESS].endswith(wanted):
                    yield words[_INODE]
