"""Machines of a Ray cluster: on each an actor that holds workers and carries what they say.

The workers themselves are processes of their own beside the actor, as on one machine: no thread of
Ray's is in a process that measures. Ray is the extra `ray` and imported here only.
"""

import logging
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from ipaddress import ip_address
from pathlib import Path
from types import ModuleType
from typing import Any

from trt_nemotron.errors import EnvironmentUnfit, InvalidInput
from trt_nemotron.measure.bench.wire.address import Address
from trt_nemotron.measure.bench.workers.processes import Processes
from trt_nemotron.measure.bench.workers.ray_signals import kept_signals
from trt_nemotron.measure.bench.workers.senders import Senders, ray_is_missing

_START_S = 60.0
"""Ray starts a process of Python for an actor."""
_CALL_S = 30.0
_LONG_LOOK_S = 1.0
_KNOCK_S = 5.0
_CALLS_BESIDE = 2
"""To an actor, at the same time as the readings of its workers."""
_LONGEST_EVIDENCE = 400


class RayMachine:
    """A machine of the cluster, through its actor; see `Machine`."""

    def __init__(self, ray: ModuleType, node: Mapping[str, Any], count: int) -> None:
        self.name: str = node["NodeManagerAddress"]
        self.pids: tuple[int, ...] = ()
        self._ray = ray
        self._looks: dict[int, Any] = {}
        affinity = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        self._actor = (
            ray.remote(Processes)
            .options(
                num_cpus=0,  # a machine that Ray has filled otherwise may send all the same
                max_concurrency=count + _CALLS_BESIDE,
                scheduling_strategy=affinity(node["NodeID"], soft=False),
            )
            .remote()
        )

    def start(self, count: int) -> None:
        """Start its workers."""
        self.pids = tuple(self._ask("start", count, timeout_s=_START_S))

    def write(self, place: int, data: bytes) -> bool:
        """See `Machine`."""
        return bool(self._ask("write", place, data))

    def read(self, place: int, timeout_s: float) -> bytes | None:
        """See `Machine`; the actor looks for longer, and what it finds waits for us."""
        if place not in self._looks:
            self._looks[place] = self._actor.read.remote(place, _LONG_LOOK_S)
        ready, _ = self._ray.wait([self._looks[place]], timeout=timeout_s)
        if not ready:
            return None
        data: bytes | None = self._get(self._looks.pop(place), _CALL_S)
        return data

    def account(self, place: int) -> str:
        """See `Machine`."""
        return str(self._ask("account", place))

    def clock(self) -> int:
        """Its monotonic clock now."""
        return int(self._ask("clock"))

    def close(self) -> None:
        """End its workers and the actor; a machine that is lost has none left."""
        with suppress(EnvironmentUnfit):
            self._ask("close", timeout_s=_KNOCK_S)
        self._ray.kill(self._actor)

    def _ask(self, name: str, *given: object, timeout_s: float = _CALL_S) -> Any:
        return self._get(getattr(self._actor, name).remote(*given), timeout_s)

    def _get(self, reference: Any, timeout_s: float) -> Any:
        try:
            return self._ray.get(reference, timeout=timeout_s)
        except self._ray.exceptions.RayError as fault:
            cause = getattr(fault, "cause", None) or fault  # of a call that raised there
            raise EnvironmentUnfit(
                f"{self.name} of the Ray cluster does not send any more, or never did",
                evidence=f"{type(cause).__name__}: {cause}"[:_LONGEST_EVIDENCE],
                next_step="Look with `ray status` whether it is up, and whether trt-nemotron is "
                "installed in the Python that Ray runs there; nothing of this run was kept.",
            ) from fault


@contextmanager
def open_cluster(senders: Senders, address: Address) -> Iterator[Sequence[RayMachine]]:
    """The machines of a cluster, with their workers started; none is left afterwards.

    Raises:
        EnvironmentUnfit: Ray is not installed, the cluster is not there, or a machine does not fit.
        InvalidInput: hosts that are not in the cluster, or a server that they cannot mean.
    """
    ray = _import_ray()
    machines: list[RayMachine] = []
    with _connected(ray, senders.ray):
        try:
            nodes = choose_nodes(ray.nodes(), senders.hosts)
            refuse_loopback(address, [node["NodeManagerAddress"] for node in nodes])
            machines += [RayMachine(ray, node, senders.workers) for node in nodes]
            for machine in machines:
                machine.start(senders.workers)
            yield machines
        finally:
            for machine in machines:
                machine.close()


def choose_nodes(
    nodes: Sequence[Mapping[str, Any]], hosts: Sequence[str]
) -> Sequence[Mapping[str, Any]]:
    """Those that are up and wished for, in the order of the wish, else of their addresses.

    Raises:
        InvalidInput: a wish for one that is not there.
    """
    alive = sorted(
        (node for node in nodes if node["Alive"]), key=lambda node: node["NodeManagerAddress"]
    )
    if not hosts:
        return alive
    chosen = []
    for host in hosts:
        names = ("NodeManagerAddress", "NodeManagerHostname", "NodeID")
        found = [node for node in alive if host in {node[name] for name in names}]
        if len(found) != 1:
            known = ", ".join(
                f"{node['NodeManagerAddress']} ({node['NodeManagerHostname']})" for node in alive
            )
            raise InvalidInput(
                f"{len(found) or 'no'} machines of the cluster are called {host}",
                evidence=f"there are: {known}",
                next_step="Name each by its address.",
            )
        chosen += found
    return chosen


def refuse_loopback(address: Address, machines: Sequence[str]) -> None:
    """A server on loopback is another one, or none, for each machine.

    Raises:
        InvalidInput: such a server, and machines that are not all on loopback themselves.
    """
    server = ip_address(address.socket_address[0].partition("%")[0])
    far = [name for name in machines if not ip_address(name).is_loopback]
    if server.is_loopback and far:
        raise InvalidInput(
            "a server on the loopback interface cannot be reached from other machines",
            evidence=f"{address.root}, and {', '.join(far)} of the cluster",
            next_step="Give the URL by which those machines reach it.",
        )


def _import_ray() -> ModuleType:
    try:
        import_module("ray.util.scheduling_strategies")
    except ImportError as fault:
        raise ray_is_missing(str(fault)) from fault
    return import_module("ray")


@contextmanager
def _connected(ray: ModuleType, address: str) -> Iterator[None]:
    """In the cluster; out of it afterwards, unless this process was in one already."""
    if ray.is_initialized():
        yield
        return
    _knock(address_of(address))
    with kept_signals() as take_back:
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError, OSError) as fault:
            raise EnvironmentUnfit(
                f"the Ray cluster at {address} cannot be joined",
                evidence=str(fault).strip()[:_LONGEST_EVIDENCE],
                next_step="Start it with `ray start --head`, or look with `ray status`; Python "
                "and Ray must be of the same version everywhere.",
            ) from fault
        take_back()
        try:
            yield
        finally:
            ray.shutdown()


def address_of(address: str, environment: Mapping[str, str] = os.environ) -> str:
    """What `auto` means: RAY_ADDRESS, else the cluster last started on this machine, as Ray's own
    `ray.init` has it (https://docs.ray.io/en/latest/ray-core/api/doc/ray.init.html).
    """
    if address != "auto":
        return address
    if named := environment.get("RAY_ADDRESS"):
        return named
    folder = environment.get("RAY_TMPDIR") or environment.get("TMPDIR") or "/tmp"  # noqa: S108 - Ray's
    with suppress(OSError):
        return Path(folder, "ray", "ray_current_cluster").read_text().strip() or address
    return address


def _knock(address: str) -> None:
    """Ray itself waits for minutes for a cluster that is not there.

    Raises:
        EnvironmentUnfit: nobody listens there.
    """
    host, _, port = address.rpartition(":")
    if not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_S).close()
    except OSError as fault:
        raise EnvironmentUnfit(
            f"the Ray cluster at {address} cannot be reached",
            evidence=str(fault),
            next_step="Start one with `ray start --head`, or give the HOST:PORT that it said.",
        ) from fault
