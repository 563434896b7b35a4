"""How many threads a CPU runtime gets."""

from dataclasses import dataclass

from trt_nemotron.deploy.choices import ASKED_FOR
from trt_nemotron.deploy.machine import Machine

SMALL_WEIGHTS_BYTES = 64 << 20
"""Weights of this size stay in a processor's cache: work per token is shorter than a barrier."""


@dataclass(frozen=True, slots=True)
class ThreadChoice:
    """Threads, with the reason and its source."""

    threads: int
    reason: str
    source: str


def choose_threads(wished: int | None, weight_bytes: int, machine: Machine) -> ThreadChoice:
    """One thread for a small model, else one for each physical core that may be used."""
    if wished is not None:
        return ThreadChoice(wished, "The user's choice.", ASKED_FOR)
    if weight_bytes <= SMALL_WEIGHTS_BYTES:
        return ThreadChoice(
            1,
            f"The weights ({weight_bytes / (1 << 20):.1f} MiB) stay in cache: threads would spend "
            "their time waiting for each other, spinning.",
            "measured: two threads raised TPOT from 0.49 ms to 2-8 ms on two busy x86_64 cores, "
            "2026-11-23",
        )
    cores = machine.physical_cores or machine.cores
    return ThreadChoice(
        cores,
        f"One for each physical core that may be used ({machine.cores} logical): reading weights "
        "is bound by memory, which second threads of a core do not speed up.",
        "processor affinity of this process",
    )
