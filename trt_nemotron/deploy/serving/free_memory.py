"""Free memory before a server is started on a board whose device and host share one memory.

There a server that takes more than is free does not fail: the board hangs, and only its power
switch helps (https://github.com/NVIDIA/dgx-spark-playbooks/issues/78). On a board with memory of
its own the driver says no by itself.
"""

from typing import Protocol

from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.sizes import gib
from trt_nemotron.errors import EnvironmentUnfit
from trt_nemotron.facts.target import Target

_SAME_BOARD = 0.9
"""A machine with less than this share of the board's memory is another one, as in a rehearsal."""


class Memory(Protocol):
    """What the operating system says of its memory; as `psutil.virtual_memory()` does."""

    @property
    def total(self) -> int:
        """Bytes in all."""

    @property
    def available(self) -> int:
        """Bytes that can be had without swapping, the page cache among them."""


def check_free_memory(plan: Plan, target: Target, memory: Memory) -> None:
    """See that a unified memory has room for what the plan takes; others are not looked at.

    Raises:
        EnvironmentUnfit: it has not; the evidence says what is needed and what is free.
    """
    if target.gpu is None or not target.gpu.is_memory_unified:
        return
    if memory.total < _SAME_BOARD * plan.ledger.memory_total_bytes:
        return
    needed = sum(line.size_bytes for line in plan.ledger.lines if line.name != "reserve")
    if memory.available >= needed:
        return
    raise EnvironmentUnfit(
        "there is not enough free memory to start the server",
        evidence=f"the plan takes {gib(needed)}, {gib(memory.available)} of {gib(memory.total)} "
        "are available; on this board the device takes its memory from the same",
        next_step="End what else uses memory (`trt-nemotron status`), or plan for less:"
        " --max-concurrency, --max-seq-len.",
    )
