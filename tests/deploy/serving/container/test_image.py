"""Images: on this machine or not, whose architecture, which digest."""

import json
from typing import Any

import pytest

from trt_nemotron.command import Completed
from trt_nemotron.deploy.serving.container.engine import Engine
from trt_nemotron.deploy.serving.container.image import (
    ensure_image,
    local_image,
    machine_architecture,
)
from trt_nemotron.errors import CommandFailed, EnvironmentUnfit

DIGEST = "sha256:" + "a" * 64


def answer(code: int = 0, **fields: Any) -> Completed:
    tree = {"Id": "sha256:" + "1" * 64, "Architecture": machine_architecture(), **fields}
    return Completed((), code, json.dumps([tree]) if code == 0 else "[]", "no such image")


def docker(recorded: Any, *answers: Completed | Exception) -> tuple[Engine, Any]:
    runner = recorded(*answers)
    return Engine("docker", "28", runner), runner


def test_an_image_is_named_by_its_digest(engine: Engine, image: str):
    found = ensure_image(engine, image, policy="never")
    assert found.pinned == f"{image.rpartition(':')[0]}@{found.digest}"
    assert found.digest.startswith("sha256:")
    again = local_image(engine, found.pinned)
    assert again is not None
    assert again.pinned == found.pinned


def test_an_image_that_is_not_here_is_not_here(engine: Engine):
    assert local_image(engine, "localhost/trt-nemotron-no-such-image:1") is None


def test_pulling_can_be_forbidden(engine: Engine):
    with pytest.raises(EnvironmentUnfit, match="is not on this machine") as caught:
        ensure_image(engine, "localhost/trt-nemotron-no-such-image:1", policy="never")
    assert "podman pull" in caught.value.next_step


def test_a_pull_that_fails_says_what_the_engine_said(engine: Engine):
    with pytest.raises(EnvironmentUnfit, match="cannot be pulled") as caught:
        ensure_image(engine, "127.0.0.1:9/no/such:1")
    assert "127.0.0.1:9" in caught.value.evidence
    assert "login" in caught.value.next_step


def test_an_image_for_another_machine_is_refused_before_it_is_started(engine: Engine, image: str):
    with pytest.raises(EnvironmentUnfit, match=f"is for {machine_architecture()}") as caught:
        ensure_image(engine, image, policy="never", architecture="riscv64")
    assert "this machine is riscv64" in caught.value.evidence


def test_a_missing_image_is_pulled_once(recorded: Any):
    engine, runner = docker(
        recorded, answer(1), Completed((), 0, "", ""), answer(RepoDigests=[f"a/b@{DIGEST}"])
    )
    found = ensure_image(engine, "a/b:1")
    assert found.pinned == f"a/b@{DIGEST}"
    assert [asked[1] for asked in runner.asked] == ["image", "pull", "image"]


DOCKER_PULL = """\
1.3.0rc14: Pulling from nvidia/tensorrt-llm/release
0123456789ab: Pulling fs layer
123456789abc: Pulling fs layer
23456789abcd: Already exists
0123456789ab: Verifying Checksum
0123456789ab: Download complete
0123456789ab: Pull complete
123456789abc: Pull complete
Digest: sha256:00
"""


def test_a_pull_is_counted_in_layers(recorded: Any):
    seen = []

    class Steps:
        def phase(self, text: str) -> None:
            seen.append(text)

        def step(self, done: int, total: int, unit: str) -> None:
            seen.append(f"{done}/{total} {unit}")

        def note(self, text: str) -> None:
            raise AssertionError(text)

    engine, _ = docker(recorded, answer(1), Completed((), 0, DOCKER_PULL, ""), answer())
    ensure_image(engine, "a/b:1", progress=Steps())
    assert seen == ["pulling a/b:1", "0/1 layers", "0/2 layers", "1/3 layers", "2/3 layers",
                    "3/3 layers"]  # fmt: skip


def test_always_pulls_what_is_here(recorded: Any):
    engine, runner = docker(recorded, Completed((), 0, "", ""), answer())
    ensure_image(engine, "a/b:1", policy="always")
    assert [asked[1] for asked in runner.asked] == ["pull", "image"]


def test_an_image_that_no_registry_knows_is_named_by_its_id(recorded: Any):
    engine, _ = docker(recorded, answer(RepoDigests=[]))
    found = ensure_image(engine, "built-here:1")
    assert (found.pinned, found.digest) == ("sha256:" + "1" * 64, "")


def test_the_digest_is_that_of_the_name_asked_for(recorded: Any):
    """One image can be known under several names, in registries with digests of their own."""
    others = [f"other/b@sha256:{'c' * 64}", f"registry.local:5000/b@{DIGEST}"]
    engine, _ = docker(recorded, answer(RepoDigests=others))
    assert ensure_image(engine, "registry.local:5000/b:1").digest == DIGEST


def test_the_digest_asked_for_is_the_one_that_is_named(recorded: Any):
    """One name can have several digests, such as an index's and a manifest's."""
    several = [f"a/b@sha256:{'c' * 64}", f"a/b@{DIGEST}"]
    engine, _ = docker(recorded, answer(RepoDigests=several))
    assert ensure_image(engine, f"a/b@{DIGEST}").digest == DIGEST


def test_an_image_that_does_not_say_its_architecture_is_refused(recorded: Any):
    engine, _ = docker(recorded, answer(Architecture=""))
    with pytest.raises(EnvironmentUnfit, match="is for an unknown architecture"):
        ensure_image(engine, "a/b:1")


def test_an_engine_that_cannot_be_asked_is_no_missing_image(recorded: Any):
    """Docker's exit code is 1 for both."""
    gone = Completed((), 1, "[]", "Cannot connect to the Docker daemon at unix:///x")
    engine, _ = docker(recorded, gone)
    with pytest.raises(CommandFailed, match="cannot be asked") as caught:
        local_image(engine, "a/b:1")
    assert "Docker daemon" in caught.value.evidence
