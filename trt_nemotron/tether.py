"""Run a program that dies with its parent.

    python -I -S tether.py [--gently] PARENT_PID PROGRAM [ARGUMENT...]

A parent that is killed with SIGKILL can clean up nothing, so the kernel has to: on Linux this shim
asks it to kill the program when its parent dies (`PR_SET_PDEATHSIG`, which outlives `exec`) and
then becomes the program; the process id stays the same. It is a file run on its own, because code
between `fork` and `exec` in a process with threads is not safe. macOS has no such request: there
the shim only starts the program.

`--gently` has the kernel ask (SIGTERM) instead of kill: for a program whose own end would leave
what it stands for, such as a container engine's client, which passes that signal on.

Exit codes before the program runs, as shells have them: 126 cannot be run, 127 not found.
"""

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """Become the program; comes back only with an exit code of failure."""
    is_gentle = arguments[0] == "--gently"
    parent, *command = arguments[is_gentle:]
    _die_with_parent(signal.SIGTERM if is_gentle else signal.SIGKILL)
    if os.getppid() != int(parent):  # it died before the kernel was asked
        return 1
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them; a program expects not to
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is the point
    except OSError as fault:
        sys.stderr.write(f"cannot start {command[0]}: {fault.strerror}\n")
        return 127 if isinstance(fault, FileNotFoundError) else 126


def _die_with_parent(by: signal.Signals) -> None:
    if sys.platform != "linux":
        return
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, by, 0, 0, 0) != 0:
        sys.stderr.write(f"not tied to its parent: {os.strerror(ctypes.get_errno())}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
