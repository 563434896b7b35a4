"""Tensors grouped by storage type: how a checkpoint's quantization is found in its files."""

from collections.abc import Iterable

from trt_nemotron.deploy.checkpoint.values import TensorGroup


def group_by_storage(tensors: Iterable[tuple[str, int, int]]) -> tuple[TensorGroup, ...]:
    """Groups of (storage, elements, bytes) triples, the largest in bytes first."""
    totals: dict[str, tuple[int, int, int]] = {}
    for storage, elements, size_bytes in tensors:
        count, all_elements, all_bytes = totals.get(storage, (0, 0, 0))
        totals[storage] = (count + 1, all_elements + elements, all_bytes + size_bytes)
    groups = (
        TensorGroup(storage=storage, tensors=count, elements=elements, size_bytes=size_bytes)
        for storage, (count, elements, size_bytes) in totals.items()
    )
    return tuple(sorted(groups, key=lambda group: (-group.size_bytes, group.storage)))


def largest_storage(groups: tuple[TensorGroup, ...]) -> str:
    """The storage type of most weight bytes."""
    return groups[0].storage
