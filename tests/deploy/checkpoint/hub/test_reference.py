"""References: pinned, or refused with how to pin them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.deploy.checkpoint.hub.reference import (
    HubReference,
    is_hub_reference,
    read_reference,
)
from trt_nemotron.errors import InvalidInput

COMMIT = "dfaf35de3e30f1867dd8dbc38a7fc9fb52d3914f"
BF16 = "nvidia/NVIDIA-Nemotron-3-Nano-4B-BF16"


@pytest.mark.parametrize("prefix", ["", "hub:"])
def test_a_commit_pins_a_repository(prefix: str):
    assert read_reference(f"{prefix}owner/name@{COMMIT}") == HubReference("owner/name", COMMIT)


@pytest.mark.parametrize(
    "text", [BF16, f"hub:{BF16}", BF16.lower(), "nemotron-3-nano-4b-bf16", f"hub:{BF16}@{COMMIT}"]
)
def test_a_commit_that_is_not_given_comes_from_the_facts(text: str):
    found = read_reference(text)
    assert found.revision == COMMIT
    assert found.repository.casefold() == BF16.casefold()
    assert read_reference(str(found)) == found


@pytest.mark.parametrize("text", ["nvidia/NVIDIA-Nemotron-3-Nano-4B-NVFP4", "someone/model"])
def test_without_a_known_commit_the_error_says_how_to_pin(text: str):
    with pytest.raises(InvalidInput, match="no commit of") as caught:
        read_reference(text)
    assert f"huggingface.co/{text}/commits/main" in caught.value.next_step
    assert f"hub:{text}@COMMIT" in caught.value.next_step


@pytest.mark.parametrize("revision", ["main", "v1.0", COMMIT[:7], COMMIT.upper(), "", f"{COMMIT}a"])
def test_what_can_move_is_no_pin(revision: str):
    with pytest.raises(InvalidInput, match="is no commit of owner/name"):
        read_reference(f"owner/name@{revision}")


@pytest.mark.parametrize("text", [
    "hub:", "a/b/c", "/etc/passwd", "a/..", "../x", "a b/c", "a--b/c", "-a/b", "a/", "/b", "a/b\n",
])  # fmt: skip
def test_what_names_no_repository_is_refused(text: str):
    with pytest.raises(InvalidInput):
        read_reference(f"{text}@{COMMIT}" if "/" in text else text)


def test_an_unknown_name_lists_the_published_ones():
    with pytest.raises(InvalidInput, match="no published checkpoint") as caught:
        read_reference("nemotron-9")
    assert "nemotron-3-nano-4b-fp8" in caught.value.evidence


@given(st.text(max_size=60))
def test_no_text_crashes_the_reader_or_leaves_the_cache(text: str):
    try:
        found = read_reference(text)
    except InvalidInput:
        return
    assert ".." not in found.repository
    assert found.repository.count("/") == 1


def test_a_path_is_no_reference():
    assert not is_hub_reference("folder/hub:x")
    assert is_hub_reference("hub:owner/name")
