"""The image that a bundle is to be served with: by digest, or not at all."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.deploy.small_shape import SMALL_SHAPE
from trt_nemotron.cli.build import pinned_image
from trt_nemotron.deploy.plan import Ledger, Plan, PlannedCheckpoint
from trt_nemotron.errors import EnvironmentUnfit, InvalidInput

PINNED = f"a/b@sha256:{'0' * 64}"


@pytest.fixture
def planned() -> Callable[[str, str], Plan]:
    def make(runtime: Any, release: str) -> Plan:
        return Plan(
            target="spark", runtime=runtime, release=release, precision="bf16",
            served_model_name="m", choices=(), ledger=Ledger(lines=(), memory_total_bytes=1),
            checkpoint=PlannedCheckpoint(
                name="m", format="safetensors", quantization="BF16", parameters=1, weight_bytes=2,
                shape=SMALL_SHAPE,
            ),
        )  # fmt: skip

    return make


def test_without_being_asked_nothing_is_pinned(planned: Any):
    assert pinned_image(planned("trtllm", "1.3.0rc14"), "", is_resolved=False) == ""


def test_an_image_by_digest_is_kept_as_it_is(planned: Any):
    assert pinned_image(planned("trtllm", "1.3.0rc14"), PINNED, is_resolved=False) == PINNED
    identity = f"sha256:{'1' * 64}"
    assert pinned_image(planned("trtllm", "1.3.0rc14"), identity, is_resolved=False) == identity


@pytest.mark.parametrize("image", ["a/b", "a/b:1", "a/b@sha256:123", "localhost:5000/b"])
def test_a_tag_alone_is_refused(planned: Any, image: str):
    with pytest.raises(InvalidInput, match="by a tag, which can move") as caught:
        pinned_image(planned("trtllm", "1.3.0rc14"), image, is_resolved=False)
    assert "--pin-image" in caught.value.next_step


def test_a_digest_that_nobody_here_can_tell_is_not_made_up(planned: Any):
    with pytest.raises(EnvironmentUnfit, match="cannot be told here"):
        pinned_image(planned("trtllm", "1.3.0rc14"), "localhost/no-such:1", is_resolved=True)


@pytest.mark.parametrize("said", [{"image": PINNED, "is_resolved": False},
                                  {"image": "", "is_resolved": True}])  # fmt: skip
def test_a_runtime_without_an_image_has_none_to_pin(planned: Any, said: Any):
    with pytest.raises(InvalidInput, match="llamacpp has no container image"):
        pinned_image(planned("llamacpp", "x"), said["image"], is_resolved=said["is_resolved"])
