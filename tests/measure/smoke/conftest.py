"""The fault server, for the tests of smoke."""

from collections.abc import Iterator

import pytest

from tests.measure.smoke.fault_server import FAULTS, StartFaultServer, fault_servers


@pytest.fixture(scope="session")
def faults() -> tuple[str, ...]:
    """Names of all faults the server can have."""
    return tuple(FAULTS)


@pytest.fixture
def fault_server() -> Iterator[StartFaultServer]:
    """Starts a server, right or with one fault; all end with the test."""
    with fault_servers() as start:
        yield start
