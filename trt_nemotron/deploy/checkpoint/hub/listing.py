"""Which files of a repository a checkpoint needs, and what the hub says of them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from trt_nemotron.deploy.checkpoint.hub.reference import HubReference
from trt_nemotron.deploy.checkpoint.hub_config import CONFIG_NAME
from trt_nemotron.deploy.checkpoint.safetensors_folder import COMPANIONS, TOKENIZER_NAME
from trt_nemotron.errors import CheckpointUnusable

_WEIGHTS = re.compile(r"[^/]+\.safetensors")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_GIT_ID = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file of a commit.

    Attributes:
        hub_id: the hub's id of its content: a SHA-256 for large files (`is_lfs`), else Git's id.
    """

    name: str
    size_bytes: int
    hub_id: str
    is_lfs: bool


def needed_files(reference: HubReference, files: Iterable[HubFile]) -> tuple[HubFile, ...]:
    """Weights in safetensors, configuration and tokenizer; sorted by size, small ones first.

    Pickles and the like (`.bin`, `.pt`, `.msgpack`) and programs (`.py`) are never fetched, nor is
    anything in a folder of the repository.

    Raises:
        CheckpointUnusable: the repository cannot be a checkpoint that we read.
    """
    everything = tuple(files)
    needed = [it for it in everything if it.name in COMPANIONS or _WEIGHTS.fullmatch(it.name)]
    names = {file.name for file in needed}
    if not any(_WEIGHTS.fullmatch(name) for name in names):
        others = sorted(it.name for it in everything if it.name.endswith((".gguf", ".bin", ".pt")))
        raise CheckpointUnusable(
            f"{reference.repository} holds no weights in safetensors",
            evidence=f"{others[0]} is there"
            if others
            else f"{len(everything)} files, none of them",
            next_step="For a GGUF file, download that one file and give its path with --checkpoint."
            if others
            else "Check the repository's name.",
        )
    for name in (CONFIG_NAME, TOKENIZER_NAME):
        if name not in names:
            raise CheckpointUnusable(
                f"{reference.repository} has no {name}",
                evidence=f"at commit {reference.revision}",
                next_step="Choose a repository that holds a whole model.",
            )
    for file in needed:
        _check_id(reference, file)
    return tuple(sorted(needed, key=lambda file: (file.size_bytes, file.name)))


def _check_id(reference: HubReference, file: HubFile) -> None:
    """An id becomes a file's name in the cache, and is what the content is held against."""
    if not (_SHA256 if file.is_lfs else _GIT_ID).fullmatch(file.hub_id):
        raise CheckpointUnusable(
            f"the hub does not say what {file.name} of {reference.repository} contains",
            evidence=f"its id of the content is {file.hub_id!r}",
            next_step="Without a hash nothing can be verified: check what HF_ENDPOINT points to.",
        )
