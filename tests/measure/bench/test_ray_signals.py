"""Signal handlers survive a library that takes them, and SIGTERM is not made Ctrl-C."""

import os
import signal
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

import pytest

from trt_nemotron.errors import Interrupted
from trt_nemotron.measure.bench.workers.ray_signals import kept_signals


def on_terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise Interrupted(number)


def taken(number: int, frame: FrameType | None) -> None:
    """What a library puts in our handler's place."""


@pytest.fixture(autouse=True)
def ours() -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, on_terminate)
    yield
    signal.signal(signal.SIGTERM, before)


def interrupt(number: signal.Signals) -> None:
    """A call of a library that makes Ctrl-C of whatever a handler raises."""
    try:
        os.kill(os.getpid(), number)
    except KeyboardInterrupt:
        raise KeyboardInterrupt from None


def run(number: signal.Signals) -> None:
    with kept_signals() as take_back:
        signal.signal(signal.SIGTERM, taken)
        take_back()
        interrupt(number)


def test_sigterm_stays_sigterm_where_the_library_says_ctrl_c():
    with pytest.raises(Interrupted) as caught:
        run(signal.SIGTERM)
    assert caught.value.signal_number == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is on_terminate


def test_ctrl_c_stays_ctrl_c():
    with pytest.raises(KeyboardInterrupt) as caught:
        run(signal.SIGINT)
    assert not isinstance(caught.value, Interrupted)


def test_handlers_are_as_they_were_afterwards_and_a_default_is_left_one():
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with kept_signals() as take_back:
        signal.signal(signal.SIGTERM, taken)
        take_back()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
