"""What a server may leave behind, and its end: processes by their mark, a container by label."""

from trt_nemotron.command import run
from trt_nemotron.deploy.serving.container.cleaning import end_containers
from trt_nemotron.deploy.serving.container.engine import Runner
from trt_nemotron.deploy.serving.processes import sweep
from trt_nemotron.deploy.serving.values import Endpoint


def end_remains(endpoint: Endpoint, runner: Runner = run) -> None:
    """End whatever is left of the server behind `endpoint`, whose guard has gone."""
    if endpoint.engine and endpoint.instance:
        end_containers(endpoint.engine, endpoint.instance, runner)
    sweep(endpoint.instance)
