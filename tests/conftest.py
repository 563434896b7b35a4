"""What every test may use."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


for _number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    # `make test &` in a script leaves these ignored, and programs inherit that: none would stop.
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(
            _number,
            signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL,
        )


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return REPOSITORY


@pytest.fixture(autouse=True)
def state_folder(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A state folder of the test's own: no test sees or touches the user's servers."""
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("TRT_NEMOTRON_STATE_DIR", str(folder))
    monkeypatch.setenv("TRT_NEMOTRON_CACHE_DIR", str(folder / "cache"))
    yield folder
    assert os.environ.get("TRT_NEMOTRON_STATE_DIR") in {None, str(folder)}
