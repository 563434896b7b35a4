"""The fault server, for the tests of smoke."""

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from trt_nemotron.measure.smoke.suite import SUITES_FOLDER

sys.path.insert(0, str(Path(__file__).parent))  # where the doubles lie, which are no package
double = importlib.import_module("fault_server")


@pytest.fixture(scope="session")
def faults() -> tuple[str, ...]:
    """Names of all faults the server can have."""
    return tuple(double.FAULTS)


@pytest.fixture
def fault_server() -> Iterator[Callable[..., Any]]:
    """Starts a server, right or with one fault; all end with the test."""

    def start(fault: str = "", **options: Any) -> Any:
        server = double.FaultServer(SUITES_FOLDER / "embedded.yaml", fault, **options)
        server.start()
        stack.callback(server.stop)
        return server

    with ExitStack() as stack:
        yield start
