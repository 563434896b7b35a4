"""How a repository on the hub is named: `hub:OWNER/NAME@COMMIT`.

A reference is pinned or refused. A branch or a tag moves under the reader, so neither is taken;
where the commit is left out it comes from the facts of the model, and never from `main`.
"""

import re
from dataclasses import dataclass

from trt_nemotron.errors import InvalidInput

HUB_PREFIX = "hub:"

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class HubReference:
    """One commit of one repository; `revision` is its 40 hexadecimal digits."""

    repository: str
    revision: str

    def __str__(self) -> str:
        return f"{HUB_PREFIX}{self.repository}@{self.revision}"


def is_hub_reference(text: str) -> bool:
    """Whether `text` means a repository on the hub rather than a path."""
    return text.startswith(HUB_PREFIX)


def read_reference(text: str) -> HubReference:
    """`hub:OWNER/NAME@COMMIT`, with or without `hub:`, or the name of a published checkpoint.

    Raises:
        InvalidInput: no such form, a branch or tag in place of a commit, or no commit given and
            none known.
    """
    bare = text.removeprefix(HUB_PREFIX)
    repository, at, revision = bare.partition("@")
    if not at and "/" not in repository:
        return _published(repository)
    if not _REPOSITORY.fullmatch(repository) or "--" in repository or ".." in repository:
        raise InvalidInput(
            f"{text!r} names no repository on the hub",
            evidence="it has no OWNER/NAME",
            next_step="Write hub:OWNER/NAME@COMMIT, as "
            "hub:nvidia/NVIDIA-Nemotron-3-Nano-4B-BF16@COMMIT.",
        )
    if not at:
        return HubReference(repository, _known_revision(repository))
    if not _COMMIT.fullmatch(revision):
        raise InvalidInput(
            f"{revision!r} is no commit of {repository}",
            evidence="a branch or a tag can be moved; a commit of 40 hexadecimal digits cannot",
            next_step=_how_to_pin(repository),
        )
    return HubReference(repository, revision)


def _published(name: str) -> HubReference:
    from trt_nemotron.deploy.checkpoint.known_model import known_names, published_variant

    variant = published_variant(name)
    if variant is None:
        raise InvalidInput(
            f"{name!r} is no published checkpoint and no repository",
            evidence=f"published: {', '.join(known_names())}",
            next_step="Write one of these names, or OWNER/NAME@COMMIT.",
        )
    return HubReference(variant.repository, _known_revision(variant.repository))


def _known_revision(repository: str) -> str:
    """The commit that the facts pin for `repository`.

    Raises:
        InvalidInput: they pin none.
    """
    from trt_nemotron.facts.catalogue import load_model, model_names

    for model in model_names():
        for variant in load_model(model).variants:
            is_asked = variant.repository.casefold() == repository.casefold()
            if is_asked and _COMMIT.fullmatch(variant.revision):
                return variant.revision
    raise InvalidInput(
        f"no commit of {repository} is pinned",
        evidence="engine_configs/models/ knows none, and its main branch can change under you",
        next_step=_how_to_pin(repository),
    )


def _how_to_pin(repository: str) -> str:
    return (
        f"Read the commit off https://huggingface.co/{repository}/commits/main and write "
        f"{HUB_PREFIX}{repository}@COMMIT."
    )
