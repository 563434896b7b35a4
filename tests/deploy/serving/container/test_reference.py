"""What an image's reference is made of, and whether it names its content."""

import pytest

from trt_nemotron.deploy.serving.container.reference import is_pinned, pin, split_image

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("nvcr.io/nvidia/x:1.3", ("nvcr.io/nvidia/x", "1.3", "")),
        ("localhost:5000/x", ("localhost:5000/x", "", "")),
        ("localhost:5000/x:1", ("localhost:5000/x", "1", "")),
        (f"a/x@{DIGEST}", ("a/x", "", DIGEST)),
        (f"a/x:2@{DIGEST}", ("a/x", "2", DIGEST)),
        ("x", ("x", "", "")),
        (DIGEST, ("", "", DIGEST)),
    ],
)
def test_an_image_falls_into_its_parts(reference: str, parts: tuple[str, str, str]):
    assert split_image(reference) == parts


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("a/b:1", "a/b"),
        ("a/b", "a/b"),
        ("localhost:5000/b", "localhost:5000/b"),
        ("localhost:5000/b:1.2", "localhost:5000/b"),
        (f"a/b@sha256:{'0' * 64}", "a/b"),
    ],
)
def test_pinning_replaces_the_tag_and_not_the_registrys_port(reference: str, name: str):
    assert pin(reference, DIGEST) == f"{name}@{DIGEST}"


@pytest.mark.parametrize("reference", [DIGEST, f"a/b@{DIGEST}", f"a/b:1@{DIGEST}"])
def test_a_digest_and_an_id_name_content(reference: str):
    assert is_pinned(reference)


@pytest.mark.parametrize(
    "reference", ["a/b", "a/b:1", "a/b@sha256:ab", f"a/b@{DIGEST}0", f"a/{DIGEST}", "sha256:latest"]
)
def test_whatever_else_may_stand_for_other_content_tomorrow(reference: str):
    assert not is_pinned(reference)
