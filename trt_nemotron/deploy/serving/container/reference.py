"""How images are named: `NAME:TAG`, `NAME@sha256:...`, `NAME:TAG@sha256:...` or `sha256:...`."""

import re

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def is_pinned(reference: str) -> bool:
    """Whether `reference` names its content: by a digest, or by an image's id, which is one too."""
    return bool(DIGEST.fullmatch(reference.rpartition("@")[2]))


def split_image(reference: str) -> tuple[str, str, str]:
    """Name, tag and digest of an image; a registry's port is no tag, and an id has no name."""
    if DIGEST.fullmatch(reference):
        return "", "", reference
    named, _, digest = reference.partition("@")
    name, colon, tag = named.rpartition(":")
    if not colon or "/" in tag:
        name, tag = named, ""
    return name, tag, digest


def pin(reference: str, digest: str) -> str:
    """`NAME@sha256:...` for `reference`, whatever tag or digest it has."""
    return f"{split_image(reference)[0]}@{digest}"
