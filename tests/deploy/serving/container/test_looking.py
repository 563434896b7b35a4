"""The first process of a container, told from outside."""

from typing import Any

import pytest

from trt_nemotron.command import Completed
from trt_nemotron.deploy.serving.container.looking import container_pid
from trt_nemotron.errors import CommandFailed


def test_the_engine_tells_it(recorded: Any):
    runner = recorded(Completed((), 0, "4711\n", ""))
    assert container_pid("docker", "one", runner) == 4711
    assert runner.asked == [("docker", "container", "inspect", "--format", "{{.State.Pid}}", "one")]


@pytest.mark.parametrize(
    "answer",
    [
        CommandFailed("no daemon"),
        Completed((), 1, "", "no such container"),
        Completed((), 0, "<no value>\n", ""),
        Completed((), 0, "", ""),
    ],
)
def test_where_it_cannot_be_told_there_is_none(recorded: Any, answer: Any):
    assert container_pid("docker", "one", recorded(answer)) == 0
