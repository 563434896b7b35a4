"""Which file of a checkpoint holds which tensor: its index, held against the files themselves.

Only headers are read. Two shards of one size that were exchanged, a shard of another model, one
that is missing and one too many are each found here, without reading a weight.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trt_nemotron.deploy.checkpoint.safetensors_header import (
    StoredTensor,
    read_safetensors_header,
)
from trt_nemotron.errors import CheckpointUnusable

WEIGHTS_NAME = "model.safetensors"
INDEX_NAME = "model.safetensors.index.json"

_PATTERN = "*.safetensors"


@dataclass(frozen=True, slots=True)
class Weights:
    """The weight files of a folder, sorted by name, and every tensor in them."""

    files: tuple[str, ...]
    tensors: tuple[StoredTensor, ...]


def read_weights(folder: Path, *, is_index_vouched: bool = False) -> Weights:
    """Every tensor of the checkpoint in `folder`, each name once, each in the file it belongs to.

    Args:
        folder: where they lie.
        is_index_vouched: the publisher's hash of the index is known and will be held against it.
            Its total may then be wrong: a publisher's slip, which hurts nobody, and no damage.

    Raises:
        CheckpointUnusable: with what is wrong and in which file.
    """
    if (folder / WEIGHTS_NAME).is_file():
        _refuse_others(folder, {WEIGHTS_NAME}, "beside")
        return Weights((WEIGHTS_NAME,), read_safetensors_header(folder / WEIGHTS_NAME))
    index = folder / INDEX_NAME
    if not index.is_file():
        raise _without_weights(folder)
    places, total_bytes = _read_index(index)
    files = tuple(sorted(set(places.values())))
    _refuse_missing(folder, files, places)
    _refuse_others(folder, set(files), "not in the index, beside")
    shards = {file: read_safetensors_header(folder / file) for file in files}
    for file, found in shards.items():
        _check_shard(file, {tensor.name for tensor in found}, places)
    tensors = tuple(tensor for file in files for tensor in shards[file])
    if not is_index_vouched:
        _check_total(index, total_bytes, sum(tensor.size_bytes for tensor in tensors))
    return Weights(files, tensors)


def _without_weights(folder: Path) -> CheckpointUnusable:
    pickles = sorted(path.name for path in folder.glob("*.bin"))
    shards = sorted(path.name for path in folder.glob(_PATTERN))
    evidence = f"neither {WEIGHTS_NAME} nor {INDEX_NAME} is there"
    if shards:
        evidence += f"; {shards[0]} needs the index to be read"
    elif pickles:
        evidence += f"; {pickles[0]} is a pickle, which is never loaded"
    return CheckpointUnusable(
        f"{folder} has no weights",
        evidence=evidence,
        next_step=f"Download the *.safetensors files{' and their index' if shards else ''} into "
        "this folder.",
    )


def _read_index(path: Path) -> tuple[dict[str, str], int | None]:
    """Tensor name -> file name, and the bytes of all tensors where the index says them."""
    try:
        tree: Any = json.loads(path.read_bytes(), object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError) as fault:
        raise CheckpointUnusable(
            f"{path} is not valid JSON", evidence=str(fault), next_step="Download it again."
        ) from fault
    places = tree.get("weight_map") if isinstance(tree, dict) else None
    if not isinstance(places, dict) or not places:
        raise CheckpointUnusable(f"{path} has no weight_map", next_step="Download it again.")
    for name, file in places.items():
        if not isinstance(file, str) or not file or Path(file).name != file:
            raise CheckpointUnusable(
                f"{path} points outside its folder",
                evidence=f"{name}: {file!r}",
                next_step="Do not use this checkpoint unless you know where it comes from.",
            )
    metadata = tree.get("metadata")
    total = metadata.get("total_size") if isinstance(metadata, dict) else None
    is_whole = isinstance(total, int) or (isinstance(total, float) and total.is_integer())
    return places, int(total) if total is not None and is_whole else None  # `123.0` is seen too


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} stands twice")
    return entries


def _refuse_missing(folder: Path, files: tuple[str, ...], places: Mapping[str, str]) -> None:
    missing = [file for file in files if not (folder / file).is_file()]
    if missing:
        count = sum(place == missing[0] for place in places.values())
        raise CheckpointUnusable(
            f"{folder} lacks {missing[0]}",
            evidence=f"{INDEX_NAME} places {count} tensors in it; {len(missing)} of {len(files)} "
            "files are missing",
            next_step="Download the missing file; all shards must be there.",
        )


def _refuse_others(folder: Path, known: set[str], where: str) -> None:
    """Runtimes load every *.safetensors of a folder, whatever the index says."""
    others = sorted({path.name for path in folder.glob(_PATTERN)} - known)
    if others:
        raise CheckpointUnusable(
            f"{folder} holds a weight file too many: {others[0]}",
            evidence=f"it is {where} {', '.join(sorted(known)[:2])}",
            next_step="Move it away; if it belongs to the model, download all files of one "
            "revision into an empty folder.",
        )


def _check_shard(file: str, found: set[str], places: Mapping[str, str]) -> None:
    promised = {name for name, place in places.items() if place == file}
    if found == promised:
        return
    owners = {places[name] for name in found if name in places}
    if owners and file not in owners:
        raise CheckpointUnusable(
            f"{file} holds the tensors of {min(owners)}",
            evidence=f"{INDEX_NAME} places {min(found & places.keys())} there: the files were "
            "exchanged or renamed",
            next_step="Give the files their own names again, or download both anew.",
        )
    if not owners:
        raise CheckpointUnusable(
            f"{file} is of another model",
            evidence=f"none of its {len(found)} tensors is in {INDEX_NAME}",
            next_step="Download it again, from the same repository and revision as the index.",
        )
    odd = min(found ^ promised)
    claim = "is not in the file" if odd in promised else "is not in the index"
    raise CheckpointUnusable(
        f"{INDEX_NAME} and {file} disagree",
        evidence=f"{len(found ^ promised)} tensors, the first: {odd} {claim}",
        next_step="Download both again, from the same revision.",
    )


def _check_total(index: Path, said_bytes: int | None, found_bytes: int) -> None:
    if said_bytes is not None and said_bytes != found_bytes:
        raise CheckpointUnusable(
            f"{index} and the weights disagree on their size",
            evidence=f"total_size is {said_bytes}, the tensors have {found_bytes} bytes",
            next_step="Download both again, from the same revision; `trt-nemotron fetch` takes a "
            "publisher's wrong total for what it is, by the hash of the file.",
        )
