"""Which engine: the first that is installed and answers, and why not the others."""

from typing import Any

import pytest

from trt_nemotron.command import Completed
from trt_nemotron.deploy.serving.container.engine import Engine, find_engine
from trt_nemotron.errors import CommandFailed, EnvironmentUnfit

GONE = CommandFailed("docker ended with exit code 1", evidence="Cannot connect to the daemon")


def everywhere(name: str) -> str:
    return f"/usr/bin/{name}"


def test_docker_comes_first_where_its_service_answers(recorded: Any):
    found = find_engine(runner=recorded(Completed((), 0, "28.2.2\n", "")), which=everywhere)
    assert (found.name, found.version) == ("docker", "28.2.2")


def test_a_docker_without_its_service_is_passed_over(recorded: Any):
    found = find_engine(runner=recorded(GONE, Completed((), 0, "4.3.1\n", "")), which=everywhere)
    assert found.name == "podman"


def test_the_one_asked_for_is_the_only_one_tried(recorded: Any):
    with pytest.raises(EnvironmentUnfit, match="docker does not answer") as caught:
        find_engine("docker", runner=recorded(GONE), which=everywhere)
    assert "Cannot connect to the daemon" in caught.value.evidence


def test_without_any_each_says_why():
    with pytest.raises(EnvironmentUnfit, match="no container engine answers here") as caught:
        find_engine(which=lambda _: None)
    assert caught.value.evidence == "docker: not on PATH\npodman: not on PATH"
    assert "Install docker or podman" in caught.value.next_step


def test_the_engine_of_this_machine_answers(engine: Engine):
    assert engine.version.split(".")[0].isdigit()
