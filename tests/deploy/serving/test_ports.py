import os
import socket

import pytest

from trt_nemotron.deploy.serving.ports import free_port, require_free
from trt_nemotron.errors import EnvironmentUnfit


def test_a_free_port_is_free():
    port = free_port()
    assert port > 1023
    require_free(port)
    require_free(0)


def test_a_listener_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EnvironmentUnfit, match=f"port {port} is taken") as caught:
            require_free(port)
    assert f"by process {os.getpid()}" in caught.value.evidence
    require_free(port)


def test_a_port_whose_connections_linger_is_free():
    """As after a server that has just ended: TIME_WAIT must not look like another server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = listener.accept()
            accepted.close()
            client.recv(1)
    require_free(port)


def test_the_same_port_on_all_interfaces_is_taken_too():
    with socket.create_server(("0.0.0.0", 0)) as taken, pytest.raises(EnvironmentUnfit):
        require_free(taken.getsockname()[1])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may use every port")
def test_a_port_that_is_not_ours_to_take():
    with pytest.raises(EnvironmentUnfit, match="cannot be used"):
        require_free(1)
