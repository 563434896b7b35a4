"""A checkpoint as the hub publishes it: a folder of `config.json`, tokenizer and safetensors.

Only headers are read. Every tensor the architecture demands must be there, in its shape, in a file
that holds all of its bytes; nothing else may be there.
"""

from collections.abc import Iterable
from pathlib import Path

from trt_nemotron.deploy.checkpoint.architecture import (
    HUB_OUTPUT,
    ROUTED_EXPERTS,
    Dimensions,
    hub_tensors,
)
from trt_nemotron.deploy.checkpoint.hub_config import CONFIG_NAME, read_hub_config
from trt_nemotron.deploy.checkpoint.naming import hub_name_and_revision
from trt_nemotron.deploy.checkpoint.published import listed_files, read_lock
from trt_nemotron.deploy.checkpoint.quantization import (
    LINEAR_ENDINGS,
    QUANTIZATION_NAME,
    check_linear,
    groups_of,
    is_scale,
    quantization_of,
    read_statement,
    refuse_contradiction,
)
from trt_nemotron.deploy.checkpoint.safetensors_header import StoredTensor
from trt_nemotron.deploy.checkpoint.safetensors_index import (
    INDEX_NAME,
    WEIGHTS_NAME,
    read_weights,
)
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.errors import CheckpointUnusable

TOKENIZER_NAME = "tokenizer.json"

COMPANIONS = (
    CONFIG_NAME,
    INDEX_NAME,
    TOKENIZER_NAME,
    "added_tokens.json",
    "chat_template.jinja",
    "generation_config.json",
    QUANTIZATION_NAME,
    "special_tokens_map.json",
    "tokenizer_config.json",
)
"""Files that belong to a checkpoint beside its weights."""

_PREFIXES = ("backbone.", "model.")
_WEIGHT_STORAGE = ("F32", "F16", "BF16")
_QUANTIZED_STORAGE = ("F8_E4M3", "U8")


def open_safetensors_folder(folder: Path) -> Checkpoint:
    """Read and verify the checkpoint in `folder`.

    Raises:
        CheckpointUnusable: with what is wrong and in which file.
    """
    lock = read_lock(folder)
    shape = read_hub_config(folder)
    weights = read_weights(folder, is_index_vouched=lock is not None)
    tensors = weights.tensors
    _check_against_architecture(folder, tensors, hub_tensors(shape))
    if not (folder / TOKENIZER_NAME).is_file():
        raise CheckpointUnusable(
            f"{folder} has no {TOKENIZER_NAME}",
            evidence="no runtime can serve a checkpoint without its tokenizer",
            next_step="Download the tokenizer files of the same revision into this folder.",
        )
    companions = [name for name in COMPANIONS if (folder / name).is_file()]
    if INDEX_NAME in companions and weights.files == (WEIGHTS_NAME,):
        companions.remove(INDEX_NAME)
    if lock is None:  # what a publisher's hash will be held against cannot be another file
        _refuse_links_to_others(folder, companions)
    groups = groups_of(tensors)
    quantization = quantization_of(groups)
    statement = read_statement(folder)
    refuse_contradiction(folder, quantization, statement)
    name, revision = hub_name_and_revision(folder)
    return Checkpoint(
        name=name,
        format="safetensors",
        path=str(folder),
        shape=shape,
        quantization=quantization,
        groups=groups,
        files=listed_files(folder, {*weights.files, *companions}, lock),
        revision=revision,
        kv_cache=statement.kv_cache,
        embedding_bytes=0 if shape.is_embedding_tied else _embedding_bytes(tensors),
        routed_bytes=sum(it.size_bytes for it in tensors if ROUTED_EXPERTS in it.name),
        stated_quantization=statement.algorithm,
    )


def _refuse_links_to_others(folder: Path, names: Iterable[str]) -> None:
    """A link may lead to a file of its own name, or to a content in the hub's cache.

    Any other could carry whatever its maker chose from this machine into a bundle: a token, a key.
    Weights need no such rule: their own headers say what they are.
    """
    own = folder.resolve()
    for name in names:
        target = (folder / name).resolve()
        is_known = target.is_relative_to(own) or target.parent == own.parent.parent / "blobs"
        if target.name != name and not is_known:
            raise CheckpointUnusable(
                f"{folder / name} is a link to another file",
                evidence=f"it leads to {target}, outside of the checkpoint",
                next_step="Do not use this checkpoint unless you know where it comes from; "
                "if you do, copy the file to this place.",
            )


def _embedding_bytes(tensors: Iterable[StoredTensor]) -> int:
    return sum(it.size_bytes for it in tensors if _bare_name(it.name) == "embeddings.weight")


def _check_against_architecture(
    folder: Path, tensors: Iterable[StoredTensor], expected: dict[str, Dimensions]
) -> None:
    found = {_bare_name(tensor.name): tensor for tensor in tensors}
    foreign = sorted(name for name in found if name not in expected and not is_scale(name, found))
    missing = sorted(expected.keys() - found.keys())
    if missing or foreign:
        kind, names = ("lacks", missing) if missing else ("has foreign", foreign)
        raise CheckpointUnusable(
            f"{folder} {kind} tensors",
            evidence=f"{len(names)} of them, the first: {names[0]}",
            next_step=f"Check that weights and {CONFIG_NAME} are of the same revision.",
        )
    for name, dimensions in expected.items():
        tensor = found[name]
        if tensor.storage in _QUANTIZED_STORAGE and name.endswith(LINEAR_ENDINGS):
            check_linear(folder, name, dimensions, found)
            continue
        if tensor.storage not in _WEIGHT_STORAGE:
            raise CheckpointUnusable(
                f"{folder} stores its weights in a form that is not read",
                evidence=f"{tensor.name} is {tensor.storage}, not one of "
                + ", ".join(_WEIGHT_STORAGE)
                + f"; {', '.join(_QUANTIZED_STORAGE)} belong to linear layers",
                next_step="Use the BF16 checkpoint, or a GGUF file.",
            )
        if tensor.shape != dimensions:
            raise CheckpointUnusable(
                f"{folder} has a tensor of the wrong shape",
                evidence=f"{tensor.name} is {list(tensor.shape)}, {CONFIG_NAME} demands "
                f"{list(dimensions)}",
                next_step=f"Check that weights and {CONFIG_NAME} are of the same revision.",
            )


def _bare_name(name: str) -> str:
    if name == HUB_OUTPUT:
        return name
    for prefix in _PREFIXES:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name
