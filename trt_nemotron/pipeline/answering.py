"""What every stage that asks a server of ours has in common."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from trt_nemotron.deploy.serving.running import RunningServer
from trt_nemotron.errors import EndpointUnfit, NoValidMeasurement

NEWS_S = 1.0
"""How long after an unanswered request the news may come that the server has ended."""


@contextmanager
def server_answers_for(server: RunningServer) -> Iterator[None]:
    """A request that fails because the server has died is the server's failure, with its log."""
    try:
        yield
    except (EndpointUnfit, NoValidMeasurement):
        server.check(NEWS_S)
        raise


def api_key_of(server: RunningServer) -> str:
    """The key that the server asks for; empty for none."""
    return os.environ.get(server.api_key_variable, "") if server.api_key_variable else ""
