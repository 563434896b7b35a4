"""Which content a tag stands for."""

import json
from typing import Any

import pytest

from trt_nemotron.command import Completed
from trt_nemotron.deploy.serving.container.engine import Engine
from trt_nemotron.deploy.serving.container.resolving import resolve_image
from trt_nemotron.errors import EnvironmentUnfit

DIGEST = "sha256:" + "a" * 64
TAG = "localhost/trt-nemotron-no-such-image:1"


def nobody(argv: tuple[str, ...]) -> str | None:
    return None


def test_a_local_copy_tells(engine: Engine, image: str):
    found = resolve_image(image, engine, nobody)
    assert found.pinned.startswith(f"{image.rpartition(':')[0]}@sha256:")
    assert found.told_by == "podman"
    assert found.architecture
    assert found.size_bytes > 0


def test_a_local_copy_that_no_registry_knows_tells_nothing(recorded: Any):
    """Its id is no name under which another machine finds it."""
    tree = {"Id": "sha256:" + "1" * 64, "Architecture": "amd64", "RepoDigests": []}
    engine = Engine("docker", "28", recorded(Completed((), 0, json.dumps([tree]), "")))
    with pytest.raises(EnvironmentUnfit, match="cannot be told here"):
        resolve_image("built-here:1", engine, nobody)


def test_a_name_with_a_digest_is_its_own_answer(engine: Engine):
    assert resolve_image(f"a/b@{DIGEST}", None, nobody).pinned == f"a/b@{DIGEST}"


def test_a_registry_is_asked_by_the_first_program_that_answers(engine: Engine):
    asked = []

    def ask(argv: tuple[str, ...]) -> str | None:
        asked.append(argv)
        return f"{DIGEST}\n" if argv[0] == "skopeo" else None

    found = resolve_image(TAG, engine, ask)
    assert (found.pinned, found.told_by) == (f"{TAG.rpartition(':')[0]}@{DIGEST}", "skopeo")
    assert [argv[0] for argv in asked] == ["docker", "skopeo"]
    assert asked[1][-1] == f"docker://{TAG}"


@pytest.mark.parametrize("printed", [None, "", "Name: a/b:1", "sha256:abc"])
def test_what_is_no_digest_is_not_taken_for_one(printed: Any):
    with pytest.raises(EnvironmentUnfit, match="cannot be told here") as caught:
        resolve_image("a/b:1", None, lambda _: printed)
    assert "docker pull a/b:1" in caught.value.next_step
