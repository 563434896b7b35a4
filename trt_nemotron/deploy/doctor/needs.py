"""What a server needs at least: memory and weights, from its plan or from the facts."""

from dataclasses import dataclass

from trt_nemotron.deploy.doctor.order import Order
from trt_nemotron.deploy.memory import reserve_line
from trt_nemotron.deploy.sizes import shown

_MODEL = "nemotron-3-nano-4b"


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """Bytes that a server and the system beside it take.

    Attributes:
        reserve_bytes: the system's part of the total.
        words: how the total comes about.
    """

    total_bytes: int
    reserve_bytes: int
    words: str


def memory_need(order: Order, memory_total_bytes: int) -> MemoryNeed:
    """The plan's ledger; without a plan the smallest known weights and the target's reserve."""
    if order.plan is not None:
        ledger = order.plan.ledger
        reserve = next((it.size_bytes for it in ledger.lines if it.name == "reserve"), 0)
        words = f"the plan takes {shown(ledger.needed_bytes)}"
        return MemoryNeed(ledger.needed_bytes, reserve, words)
    weights, name = smallest_weights(order)
    reserve = reserve_line(int(order.target.reserve_bytes.value), memory_total_bytes).size_bytes
    words = f"{name} takes {shown(weights)}, and {shown(reserve)} are left to the system"
    return MemoryNeed(weights + reserve, reserve, words)


def smallest_weights(order: Order) -> tuple[int, str]:
    """Bytes and name of the smallest weights that the runtime serves on the target.

    Any computer serves the embedded checkpoint; a board is there for the real model.
    """
    if order.target.gpu is None:
        return embedded_bytes(), "the embedded checkpoint"
    from trt_nemotron.facts.catalogue import load_model

    wanted = "gguf" if order.support.runtime == "llamacpp" else "safetensors"
    sizes = [
        (int(it.size_bytes.value), it.name)
        for it in load_model(_MODEL).variants
        if it.format == wanted and it.size_bytes is not None
    ]
    return min(sizes)


def embedded_bytes() -> int:
    """The size of the weights that come with this tool."""
    from trt_nemotron.deploy.checkpoint.embedded import embedded_checkpoint_path

    return sum(it.stat().st_size for it in embedded_checkpoint_path().glob("*.safetensors"))
