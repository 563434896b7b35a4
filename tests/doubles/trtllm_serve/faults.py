"""Faults that a test asks for: `TRTLLM_DOUBLE_FAULT=exit:graphs,slow:0.2`.

exit:PHASE   end there, with an error text of that phase as the real server has it
hang:PHASE   stay there for ever
slow:SECONDS wait that long in every phase
mute         listen, and never answer
crash        end when the first real request comes
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from tests.doubles.trtllm_serve.start_log import StartLog

FAULT_VARIABLE = "TRTLLM_DOUBLE_FAULT"
PHASES = ("arguments", "weights", "estimation", "pools", "autotuner", "graphs", "listening")

_TEXTS: Mapping[str, tuple[tuple[str, Mapping[str, str]], ...]] = {
    "arguments": (("no_gpu", {}),),
    "weights": (("cuda_out_of_memory", {
        "size": "40.00 MiB",
        "text": " GPU 0 has a total capacity of 119.70 GiB of which 20.62 MiB is free.",
    }),),
    "estimation": (
        ("no_room_for_trial", {"component": "Additional executor resources"}), ("no_room", {}),
    ),
    "pools": (("no_sequence_fits", {}),),
    "autotuner": (("ptxas", {"variant": "", "arch": "sm_110a"}),),
    "graphs": (("no_room_for_graphs", {}), ("no_room", {})),
    "listening": (("worker_died", {}),),
}  # fmt: skip


class Faulty(Exception):
    """The fault has come; the message is what the server prints last."""


class Faults:
    """The faults of one start."""

    def __init__(self, asked: str) -> None:
        self._by_phase: dict[str, str] = {}
        self.slowness_s = 0.0
        self.is_mute = self.crashes = False
        for word in filter(None, asked.split(",")):
            kind, _, value = word.partition(":")
            if kind in {"exit", "hang"} and value in PHASES:
                self._by_phase[value] = kind
            elif kind == "slow":
                self.slowness_s = float(value)
            elif word == "mute":
                self.is_mute = True
            elif word == "crash":
                self.crashes = True
            else:
                raise SystemExit(f"{FAULT_VARIABLE}: unknown fault {word!r}")

    def at(self, phase: str, log: StartLog) -> None:
        """Let the phase's fault happen.

        Raises:
            Faulty: it is an end.
        """
        time.sleep(self.slowness_s)
        kind = self._by_phase.get(phase)
        if kind == "exit":
            raise Faulty("\n".join(_texts(phase, log)))
        while kind == "hang":
            time.sleep(3600)


def _texts(phase: str, log: StartLog) -> Iterator[str]:
    return (log.text(name, **figures) for name, figures in _TEXTS[phase])
