"""Ending containers: ours, by label, and no other."""

import secrets
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from trt_nemotron.command import Completed, run
from trt_nemotron.deploy.serving.container.cleaning import end_containers, removal_arguments
from trt_nemotron.deploy.serving.container.engine import Engine
from trt_nemotron.errors import CommandFailed


def names(*filters: str) -> set[str]:
    said = subprocess.run(
        ["podman", "ps", "--all", "--format", "{{.Names}}", *filters],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(said.stdout.split())


@pytest.fixture
def create(engine: Engine, image: str) -> Iterator[Any]:
    made: list[str] = []

    def one(instance: str) -> str:
        name = f"trt-nemotron-test-{secrets.token_hex(4)}"
        label = f"io.trt-nemotron.instance={instance}"
        engine.ask("create", "--name", name, "--label", label, image, "/none")
        made.append(name)
        return name

    yield one
    for name in made:
        subprocess.run(removal_arguments("podman", name), check=False, capture_output=True)


def test_only_containers_of_the_instance_are_ended(create: Any):
    ours, other = create("one-instance"), create("another-instance")
    assert end_containers("podman", "one-instance", run) == (ours,)
    assert ours not in names()
    assert other in names()


def test_nothing_left_is_nothing_to_do(engine: Engine):
    assert end_containers("podman", "no-such-instance", run) == ()


def test_removing_what_is_not_there_is_no_failure(engine: Engine):
    run(removal_arguments("podman", "trt-nemotron-test-none"), timeout_s=30, expected=(0, 1))


def test_an_engine_that_has_gone_is_no_reason_to_fail(recorded: Any):
    assert end_containers("docker", "x", recorded(CommandFailed("no daemon"))) == ()


def test_docker_is_asked_in_its_own_words(recorded: Any):
    """One that went by itself in the meantime, exit code 1, does not keep the next one alive."""
    gone = Completed((), 1, "", "No such container: a")
    runner = recorded(Completed((), 0, "a\nb\n", ""), gone, CommandFailed("x"))
    assert end_containers("docker", "i", runner) == ("a", "b")
    assert runner.asked[1:] == [
        ("docker", "rm", "--force", "--volumes", "a"),
        ("docker", "rm", "--force", "--volumes", "b"),
    ]
