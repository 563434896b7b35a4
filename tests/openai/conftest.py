"""The fault server of the smoke tests, for the tests of the wire."""

from collections.abc import Iterator

import pytest

from tests.measure.smoke.fault_server import StartFaultServer, fault_servers


@pytest.fixture
def fault_server() -> Iterator[StartFaultServer]:
    """Starts a server, right or with one fault; all end with the test."""
    with fault_servers() as start:
        yield start
