"""A checkpoint as the hub publishes it: a folder of `config.json`, tokenizer and safetensors.

Only headers are read. Every tensor the architecture demands must be there, in its shape, in a file
that holds all of its bytes; nothing else may be there.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from trt_nemotron.deploy.checkpoint.architecture import HUB_OUTPUT, Dimensions, hub_tensors
from trt_nemotron.deploy.checkpoint.hub_config import CONFIG_NAME, read_hub_config
from trt_nemotron.deploy.checkpoint.naming import hub_name_and_revision
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
from trt_nemotron.deploy.checkpoint.safetensors_header import (
    StoredTensor,
    read_safetensors_header,
)
from trt_nemotron.deploy.checkpoint.values import Checkpoint, CheckpointFile
from trt_nemotron.errors import CheckpointUnusable

WEIGHTS_NAME = "model.safetensors"
INDEX_NAME = "model.safetensors.index.json"
TOKENIZER_NAME = "tokenizer.json"

_COMPANIONS = (
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
_PREFIXES = ("backbone.", "model.")
_WEIGHT_STORAGE = ("F32", "F16", "BF16")
_QUANTIZED_STORAGE = ("F8_E4M3", "U8")


def open_safetensors_folder(folder: Path) -> Checkpoint:
    """Read and verify the checkpoint in `folder`.

    Raises:
        CheckpointUnusable: with what is wrong and in which file.
    """
    shape = read_hub_config(folder)
    files, tensors = _read_tensors(folder)
    _check_against_architecture(folder, tensors, hub_tensors(shape))
    if not (folder / TOKENIZER_NAME).is_file():
        raise CheckpointUnusable(
            f"{folder} has no {TOKENIZER_NAME}",
            evidence="no runtime can serve a checkpoint without its tokenizer",
            next_step="Download the tokenizer files of the same revision into this folder.",
        )
    companions = [name for name in _COMPANIONS if (folder / name).is_file()]
    if INDEX_NAME in companions and files == [WEIGHTS_NAME]:
        companions.remove(INDEX_NAME)
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
        files=_sizes(folder, {*files, *companions}),
        revision=revision,
        kv_cache=statement.kv_cache,
        embedding_bytes=0 if shape.is_embedding_tied else _embedding_bytes(tensors),
        stated_quantization=statement.algorithm,
    )


def _embedding_bytes(tensors: Iterable[StoredTensor]) -> int:
    return sum(it.size_bytes for it in tensors if _bare_name(it.name) == "embeddings.weight")


def _read_tensors(folder: Path) -> tuple[list[str], list[StoredTensor]]:
    """Names of the weight files and every tensor in them, each name once."""
    if (folder / WEIGHTS_NAME).is_file():
        return [WEIGHTS_NAME], list(read_safetensors_header(folder / WEIGHTS_NAME))
    index = folder / INDEX_NAME
    if not index.is_file():
        others = sorted(path.name for path in folder.glob("*.bin"))
        raise CheckpointUnusable(
            f"{folder} has no weights",
            evidence=f"neither {WEIGHTS_NAME} nor {INDEX_NAME} is there"
            + (f"; {others[0]} is a pickle, which is never loaded" if others else ""),
            next_step="Download the *.safetensors files into this folder.",
        )
    places = _read_index(index)
    tensors: list[StoredTensor] = []
    for name in sorted(set(places.values())):
        tensors.extend(_read_shard(folder, name, places))
    return sorted(set(places.values())), tensors


def _read_index(path: Path) -> dict[str, str]:
    """Tensor name -> file name."""
    try:
        tree: Any = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as fault:
        raise CheckpointUnusable(
            f"{path} is not valid JSON", evidence=str(fault), next_step="Download it again."
        ) from fault
    places = tree.get("weight_map") if isinstance(tree, dict) else None
    if not isinstance(places, dict) or not places:
        raise CheckpointUnusable(f"{path} has no weight_map", next_step="Download it again.")
    for name, file in places.items():
        if not isinstance(file, str) or Path(file).name != file:
            raise CheckpointUnusable(
                f"{path} points outside its folder",
                evidence=f"{name}: {file!r}",
                next_step="Do not use this checkpoint unless you know where it comes from.",
            )
    return places


def _read_shard(folder: Path, file: str, places: dict[str, str]) -> tuple[StoredTensor, ...]:
    if not (folder / file).is_file():
        raise CheckpointUnusable(
            f"{folder} lacks {file}",
            evidence=f"{INDEX_NAME} places {_count(places, file)} tensors in it",
            next_step="Download the missing file; all shards must be there.",
        )
    tensors = read_safetensors_header(folder / file)
    found = {tensor.name for tensor in tensors}
    promised = {name for name, place in places.items() if place == file}
    if found != promised:
        odd = min(found ^ promised)
        claim = "is not in the file" if odd in promised else "is not in the index"
        raise CheckpointUnusable(
            f"{INDEX_NAME} and {file} disagree",
            evidence=f"{len(found ^ promised)} tensors, the first: {odd} {claim}",
            next_step="Download both again, from the same revision.",
        )
    return tensors


def _count(places: dict[str, str], file: str) -> int:
    return sum(place == file for place in places.values())


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


def _sizes(folder: Path, names: Iterable[str]) -> tuple[CheckpointFile, ...]:
    return tuple(
        CheckpointFile(name=name, size_bytes=(folder / name).stat().st_size)
        for name in sorted(names)
    )
