"""Our signal handlers, kept beside Ray's.

Ray takes SIGTERM for itself when a program joins a cluster
(https://github.com/ray-project/ray/pull/39482), and every interruption of one of its calls comes
out of it as Ctrl-C, whatever our handler raised.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from trt_nemotron.errors import Interrupted

_OURS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def kept_signals() -> Iterator[Callable[[], None]]:
    """Give us back our handlers when what is yielded is called, and at the end as they were.

    Raises:
        Interrupted: SIGTERM came, and Ray made Ctrl-C of it.
    """
    handlers = {number: signal.getsignal(number) for number in _OURS}
    seen: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        handler = handlers[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    def take_back() -> None:
        for number, handler in handlers.items():
            _set(number, note if callable(handler) else handler)

    try:
        yield take_back
    except Interrupted:
        raise
    except KeyboardInterrupt as fault:
        if signal.SIGTERM in seen:
            raise Interrupted(signal.SIGTERM) from fault
        raise
    finally:
        for number, handler in handlers.items():
            _set(number, handler)


def _set(number: signal.Signals, handler: Any) -> None:
    with suppress(ValueError):  # not in the main thread, where Ray takes none either
        signal.signal(number, handler)
