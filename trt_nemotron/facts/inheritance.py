"""A release told as what changed since the one before it, joined with that one."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from trt_nemotron.errors import InvalidInput
from trt_nemotron.facts.release import RuntimeRelease

ItemT = TypeVar("ItemT")


def inherit(child: RuntimeRelease, parent: RuntimeRelease) -> RuntimeRelease:
    """`child` with everything that it leaves unsaid taken from `parent`.

    Args:
        child: a release as its file tells it.
        parent: the release that `child.extends` names, itself already complete.

    Raises:
        InvalidInput: `child` removes what `parent` never had, which is a mistake in the file.
    """
    joined: dict[str, Any] = {
        "keys": _join(parent.keys, child.keys, child.removed_keys, _name),
        "flags": _join(parent.flags, child.flags, child.removed_flags, _name),
        "defects": _join(parent.defects, child.defects, child.removed_defects, lambda it: it.id),
        "moved": _join(parent.moved, child.moved, (), lambda it: it.old),
        "endpoints": _join(parent.endpoints, child.endpoints, (), lambda it: it.path),
        "cache_variables": _join(parent.cache_variables, child.cache_variables, (), _name),
        "settings": _join(parent.settings, child.settings, (), _name),
        "programs": _join(parent.programs, child.programs, (), _name),
        "payloads": _join(parent.payloads, child.payloads, (), lambda it: it.id),
        # The first that matches counts: what is new says more than what is common to all.
        "known_failures": child.known_failures + parent.known_failures,
        "figures": {**parent.figures, **child.figures},
        "image": child.image or parent.image,
        "precedence": child.precedence or parent.precedence,
        "hybrids": child.hybrids or parent.hybrids,
        "parsers": child.parsers or parent.parsers,
        "removed_keys": (),
        "removed_flags": (),
        "removed_defects": (),
    }
    return msgspec.structs.replace(child, **joined)


def _name(item: Any) -> str:
    name: str = item.name
    return name


def _join(
    old: Sequence[ItemT],
    new: Sequence[ItemT],
    removed: Iterable[str],
    identity: Callable[[ItemT], str],
) -> tuple[ItemT, ...]:
    """`old` in its order, replaced item by item, less `removed`, then what is new."""
    gone = set(removed)
    unknown = gone - {identity(item) for item in old}
    if unknown:
        raise InvalidInput(
            f"a release removes what the one before it does not have: {', '.join(sorted(unknown))}",
            next_step="Correct its file under engine_configs/runtimes/.",
        )
    replaced = {identity(item): item for item in new}
    kept = [replaced.pop(identity(item), item) for item in old if identity(item) not in gone]
    return (*kept, *replaced.values())
