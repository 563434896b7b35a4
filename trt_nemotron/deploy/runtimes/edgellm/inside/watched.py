"""Run one program of this environment, tell its memory while it runs, and end with our parent.

    PYTHON watched.py MODULE:FUNCTION [ARGUMENT...]

`MODULE` may be one of Edge-LLM's (`tensorrt_edgellm.scripts.export`) or a file beside this one
(`inspect_graph`). Every other second a line `RSS BYTES` goes to standard output, at last
`END CODE`; what the program itself prints goes to standard error. The end of standard input means
that our parent has gone.
"""

import importlib
import os
import sys
import threading
from pathlib import Path

_INTERVAL_S = 2.0
_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int:
    """Memory of this process, as Linux counts it."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE


def end_with_parent() -> None:
    """Leave at once when nobody holds our standard input any more."""
    while os.read(0, 4096):
        pass
    os._exit(1)


def tell_memory(channel: int) -> None:
    """A line every other second, for as long as somebody reads."""
    waiting = threading.Event()
    while True:
        try:
            os.write(channel, f"RSS {resident_bytes()}\n".encode())
        except OSError:
            return
        waiting.wait(_INTERVAL_S)


def main() -> int:
    """Run the named function with the rest of the command line."""
    channel = os.dup(1)
    os.dup2(2, 1)
    threading.Thread(target=end_with_parent, daemon=True).start()
    threading.Thread(target=tell_memory, args=(channel,), daemon=True).start()
    name, *arguments = sys.argv[1:]
    module, _, function = name.partition(":")
    sys.argv = [module, *arguments]
    code = 1
    try:
        code = int(getattr(importlib.import_module(module), function)() or 0)
    except SystemExit as ending:  # as `argparse` and Edge-LLM's own programs end
        code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
        raise
    finally:
        os.write(channel, f"RSS {resident_bytes()}\nEND {code}\n".encode())
    return code


if __name__ == "__main__":
    sys.exit(main())
