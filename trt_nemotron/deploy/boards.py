"""Which board this machine has, and which of a family: `h100` is three, twofold in bandwidth.

The driver is asked through `nvidia-smi`; a name that is a target already needs no asking. A board
without a driver is known by the system's files.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trt_nemotron.errors import CommandFailed, InvalidInput
from trt_nemotron.facts.catalogue import load_target, target_names
from trt_nemotron.facts.target import Target

if TYPE_CHECKING:
    from trt_nemotron.deploy.doctor.facts import Sign
    from trt_nemotron.deploy.doctor.host import Host

_TIMEOUT_S = 10.0
_ANY_COMPUTER = "cpu"
_NVIDIA_VENDOR = "0x10de"
_PCI_DEVICES = "/sys/bus/pci/devices"


@dataclass(frozen=True, slots=True)
class Detection:
    """The target that a machine looks like.

    Attributes:
        target: its name; `cpu` for a computer without a board that we know.
        evidence: by what it was told, one sentence.
    """

    target: str
    evidence: str


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


def detect_target(names: Sequence[str] | None = None, host: "Host | None" = None) -> Detection:
    """What this machine is: by its driver, else by the signs that a board has without one.

    Args:
        names: product names of the machine's boards; without them `nvidia-smi` is asked.
        host: the machine whose files are looked at for signs; without it this one.

    Raises:
        InvalidInput: it has boards of several targets, so one has to be named.
    """
    from trt_nemotron.deploy.doctor.host import LocalHost

    shown = product_names() if names is None else tuple(names)
    if shown:
        return _by_names(shown)
    return _by_signs(host or LocalHost()) or Detection(
        _ANY_COMPUTER, "no board is seen: the driver shows none, and no file names one"
    )


def targets_named(shown: Sequence[str]) -> tuple[str, ...]:
    """Targets with a board that drivers call by one of these names, sorted."""
    return _named(map(load_target, target_names()), shown)


def _named(targets: Iterable[Target], shown: Sequence[str]) -> tuple[str, ...]:
    return tuple(
        it.name for it in targets if it.gpu and not set(it.gpu.product_names).isdisjoint(shown)
    )


def _by_names(shown: Sequence[str]) -> Detection:
    found = targets_named(shown)
    what = ", ".join(sorted(set(shown)))
    if len(found) > 1:
        raise InvalidInput(
            "this machine has boards of several targets",
            evidence=f"nvidia-smi shows {what}",
            next_step=f"Name one with --target: {', '.join(found)}.",
        )
    if not found:
        return Detection(_ANY_COMPUTER, f"nvidia-smi shows {what}, which is no target of ours")
    return Detection(found[0], f"nvidia-smi shows {what}")


def _by_signs(host: "Host") -> Detection | None:
    from trt_nemotron.deploy.doctor.facts import doctor_facts

    known = target_names()
    for sign in doctor_facts().signs:
        if sign.target in known and (where := _find_sign(sign, host)):
            return Detection(sign.target, where)
    return None


def _find_sign(sign: "Sign", host: "Host") -> str:
    """Where the sign was seen; empty when it was not."""
    if sign.path:
        is_there = sign.contains in (host.read(sign.path) or "")
        return f"{sign.path} says {sign.contains}" if is_there else ""
    for name in host.listing(_PCI_DEVICES):
        folder = f"{_PCI_DEVICES}/{name}"
        ids = [(host.read(f"{folder}/{which}") or "").strip() for which in ("vendor", "device")]
        if ids == [_NVIDIA_VENDOR, sign.pci_device]:
            return f"PCI device {name} is {_NVIDIA_VENDOR}:{sign.pci_device}, without a driver"
    return ""


def _choose(family: str, boards: Sequence[Target], shown: tuple[str, ...]) -> str:
    found = _named(boards, shown)
    if len(found) == 1:
        return found[0]
    seen = "nvidia-smi shows no board on this machine"
    if shown:
        seen = f"this machine shows {', '.join(sorted(set(shown)))}"
    names = ", ".join(target.name for target in boards)
    raise InvalidInput(
        f"'{family}' is {len(boards)} boards, and which of them is meant cannot be told",
        evidence=seen,
        next_step=f"Name it: {names}. They differ in bandwidth, so a plan for one is wrong for "
        "another.",
    )
