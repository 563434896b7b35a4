"""Who sends the load of a run: this process, several of this machine, or machines of a cluster."""

import re
from dataclasses import dataclass
from importlib.util import find_spec

from trt_nemotron.errors import EnvironmentUnfit, InvalidInput
from trt_nemotron.measure.bench.clock_choice import ClockWish
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.legs import plan_legs
from trt_nemotron.measure.bench.share import deal
from trt_nemotron.measure.bench.values import Workload

_RAY_ADDRESS = re.compile(r"auto|[^/\s]+:\d{1,5}")
"""Not `local`, for which Ray starts a cluster; not `ray://`, whose proxy is one more way between
two clocks.
"""
MOST_STREAMS = 1024
"""Of one process."""
MOST_SILENCE_S = 30.0
"""A worker tells how far it is several times a second; one that is silent for so long hangs."""


@dataclass(frozen=True, slots=True)
class Senders:
    """Who sends the load.

    Attributes:
        workers: processes on each machine.
        ray: address of a Ray cluster whose machines send; empty for this machine alone.
        hosts: addresses or names of those machines of the cluster that take part; empty for all.
        patience_s: how long a worker may be silent before it is given up.
    """

    workers: int = 1
    ray: str = ""
    hosts: tuple[str, ...] = ()
    patience_s: float = MOST_SILENCE_S

    @property
    def are_alone(self) -> bool:
        """Whether this process sends everything itself."""
        return self.workers == 1 and not self.ray


ALONE = Senders()
"""This process sends everything itself."""


def check_senders(senders: Senders, workload: Workload, clock_wish: ClockWish) -> None:
    """Refuse what cannot be, before anything is started.

    Raises:
        InvalidInput: no worker, too many streams for them, hosts without a cluster, no address of
            one, or packets for several workers.
        EnvironmentUnfit: a cluster, and no Ray here.
    """
    if senders.workers < 1:
        raise InvalidInput("at least one worker sends the load", evidence=f"{senders.workers}")
    if senders.hosts and not senders.ray:
        raise InvalidInput(
            "machines that send the load are reached through a Ray cluster",
            evidence=f"hosts: {', '.join(senders.hosts)}",
            next_step="Name the cluster as well: --ray auto, or --ray HOST:PORT.",
        )
    if senders.workers > 1 and clock_wish == "packet":
        raise InvalidInput(
            "several workers of one machine stamp with the kernel's receive clock, not with "
            "packets: each would capture those of all",
            next_step="Leave out --workers, or --clock packet.",
        )
    if senders.ray and not _RAY_ADDRESS.fullmatch(senders.ray):
        raise InvalidInput(
            "a Ray cluster is named by auto or HOST:PORT",
            evidence=senders.ray,
            next_step="Run this on a machine of the cluster; `ray start --head` said its address.",
        )
    if not senders.ray:
        check_streams(-(-max(workload.concurrencies) // senders.workers))
    if senders.ray and find_spec("ray") is None:
        raise ray_is_missing("no module named ray")


def check_streams(streams: int) -> None:
    """Refuse more streams than one process may have.

    Raises:
        InvalidInput: there are more.
    """
    if streams > MOST_STREAMS:
        raise InvalidInput(
            f"one process keeps {MOST_STREAMS:,} streams at most",
            evidence=f"{streams:,} for each",
            next_step="Take a lower --concurrency, more --workers, or more machines (--ray).",
        )


def ray_is_missing(evidence: str) -> EnvironmentUnfit:
    """What is said where Ray cannot be imported."""
    return EnvironmentUnfit(
        "workers on other machines need Ray",
        evidence=evidence,
        next_step="pip install 'trt-nemotron[ray]', here and on each of those machines.",
    )


def describe_senders(senders: Senders, workload: Workload) -> str:
    """Who would send what, in words; empty where this process sends everything itself."""
    if senders.are_alone:
        return ""
    if senders.ray:
        each = "1 process" if senders.workers == 1 else f"{senders.workers} processes"
        which = ", ".join(senders.hosts) or "each machine"
        return f"by {each} on {which} of the Ray cluster at {senders.ray}"
    shares = [
        f"{leg.title}: {' + '.join(map(str, streams_of(leg, workload, senders.workers)))}"
        for leg in plan_legs(workload)
    ]
    return f"by {senders.workers} processes of this machine; streams at {'; '.join(shares)}"


def senders_tree(senders: Senders, workload: Workload) -> dict[str, object]:
    """The same for programs; nothing where this process sends everything itself."""
    if senders.are_alone:
        return {}
    tree: dict[str, object] = {"workers": senders.workers}
    if senders.ray:
        return {**tree, "ray": senders.ray, "hosts": list(senders.hosts)}
    legs = {leg.title: streams_of(leg, workload, senders.workers) for leg in plan_legs(workload)}
    return {**tree, "streams_of_workers": legs}


def streams_of(leg: Leg, workload: Workload, workers: int) -> tuple[int, ...]:
    """Streams of each worker in a leg; 0 for one that has no part in it."""
    shares = deal(leg.concurrency, workers, is_closed=workload.arrivals == "closed")
    idle = (0,) * (workers - len(shares))
    return (*(share.streams(leg.concurrency) for share in shares), *idle)
