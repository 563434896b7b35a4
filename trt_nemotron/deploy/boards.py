"""Which board of a family this machine has: `h100` is three, which differ twofold in bandwidth.

The driver is asked through `nvidia-smi`; a name that is a target already needs no asking.
"""

from collections.abc import Callable
from contextlib import suppress

from trt_nemotron.errors import CommandFailed, InvalidInput
from trt_nemotron.facts.catalogue import load_target, target_names
from trt_nemotron.facts.target import Target

_TIMEOUT_S = 10.0


def resolve_target(name: str, ask: Callable[[], tuple[str, ...]] | None = None) -> str:
    """The target that `name` means: itself, or for a family the board that this machine has.

    Args:
        name: as the user gave it; one that is neither is handed back, for others to refuse.
        ask: product names of the machine's boards; without it `nvidia-smi` is asked.

    Raises:
        InvalidInput: the board of the family cannot be told; the boards there are, are named.
    """
    known = target_names()
    if name in known:
        return name
    boards = [it for it in map(load_target, known) if it.family and it.family == name]
    return _choose(name, boards, (ask or product_names)()) if boards else name


def product_names() -> tuple[str, ...]:
    """Names of the machine's boards as the driver shows them; none without a driver."""
    from trt_nemotron.command import run

    with suppress(CommandFailed):
        shown = run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], timeout_s=_TIMEOUT_S
        )
        return tuple(line.strip() for line in shown.stdout.splitlines() if line.strip())
    return ()


def _choose(family: str, boards: list[Target], shown: tuple[str, ...]) -> str:
    found = {
        target.name
        for target in boards
        if target.gpu is not None and not set(target.gpu.product_names).isdisjoint(shown)
    }
    if len(found) == 1:
        return found.pop()
    seen = (
        f"this machine shows {', '.join(sorted(set(shown)))}"
        if shown
        else ("nvidia-smi shows no board on this machine")
    )
    names = ", ".join(target.name for target in boards)
    raise InvalidInput(
        f"'{family}' is {len(boards)} boards, and which of them is meant cannot be told",
        evidence=seen,
        next_step=f"Name it: {names}. They differ in bandwidth, so a plan for one is wrong for "
        "another.",
    )
