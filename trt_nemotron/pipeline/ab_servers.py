"""The two servers of an A/B gate: both up at once, or one start for each run, or two URLs.

Both up: two processes, each started once. What two processes of one program differ by of themselves
is then not drawn again from run to run; the bound of three percent at least is what covers it. One
start for each run: the start is part of the run, so what starts differ by is in the noise that the
pairs are judged by.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

from msgspec.structs import replace

from trt_nemotron.deploy.runtimes.catalogue import get_runtime
from trt_nemotron.deploy.serving.placing import choose_place
from trt_nemotron.deploy.serving.running import RunningServer
from trt_nemotron.deploy.serving.server import start_server
from trt_nemotron.errors import EndpointUnfit
from trt_nemotron.measure.bench.alternating import Alternation, Server, open_alternation
from trt_nemotron.measure.bench.environment import describe_environment
from trt_nemotron.measure.bench.runner import MeasureClient, run_bench
from trt_nemotron.measure.bench.values import Environment, Measurement, Workload
from trt_nemotron.measure.gate.ab_pair import Arm as Side
from trt_nemotron.openai.client import Client
from trt_nemotron.openai.dialect import Dialect
from trt_nemotron.pipeline.ab_order import AbOrder
from trt_nemotron.pipeline.ab_place import hold
from trt_nemotron.pipeline.answering import api_key_of, server_answers_for
from trt_nemotron.pipeline.folder import endpoint_name
from trt_nemotron.pipeline.handover import bundle_environment
from trt_nemotron.progress import SILENT, Progress

SIDES: tuple[Side, ...] = ("a", "b")
NOT_TOLD = "not told: the server was given by its URL"
"""In the environment of a server of which only the URL is known: A/B compares on one device, so
its figures may be compared with the other's, and with nothing else's."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A server that is asked, and what is known of it."""

    client: Client
    url: str
    model: str
    dialect: Dialect
    environment: Environment
    api_key: str = ""
    server: RunningServer | None = None

    def bench(self, workload: Workload, measure_client: MeasureClient) -> Measurement:
        """One run, with a client that was measured so."""
        with ExitStack() as guarded:
            if self.server is not None:
                guarded.enter_context(server_answers_for(self.server))
            return run_bench(
                self.url,
                self.model,
                workload,
                self.dialect,
                self.environment,
                profile="ab",
                api_key=self.api_key,
                measure_client=measure_client,
            )


class Subjects(Protocol):
    """Both arms, as far as a gate needs them."""

    def at(self, side: Side) -> AbstractContextManager[Subject]:
        """The server of an arm, up for the time of the block."""


class _Fixed:
    """Both are up for the whole time."""

    def __init__(self, both: dict[Side, Subject]) -> None:
        self._both = both

    @contextmanager
    def at(self, side: Side) -> Iterator[Subject]:
        yield self._both[side]


class _Started:
    """Started for each block, and stopped after it."""

    def __init__(self, start: Callable[[Side], RunningServer], order: AbOrder) -> None:
        self._start = start
        self._order = order

    @contextmanager
    def at(self, side: Side) -> Iterator[Subject]:
        with self._start(side) as server:
            yield _subject(server, side, self._order)


class InTurn:
    """Both servers, asked request by request."""

    def __init__(
        self, both: tuple[Subject, Subject], workload: Workload, measure_client: MeasureClient
    ) -> None:
        self._both = both
        with _answering(both):
            self._alternation = _alternate(both, workload, measure_client)

    def measure(self, order: Sequence[Side]) -> tuple[Measurement, Measurement]:
        """One round: the run of A and that of B."""
        with _answering(self._both):
            a, b = self._alternation.measure([SIDES.index(side) for side in order])
        return a, b


def _alternate(
    both: tuple[Subject, Subject], workload: Workload, measure_client: MeasureClient
) -> Alternation:
    servers = [
        Server(each.url, each.model, each.dialect, each.environment, each.api_key) for each in both
    ]
    return open_alternation(servers, workload, measure_client)


@contextmanager
def _answering(both: tuple[Subject, Subject]) -> Iterator[None]:
    with ExitStack() as guarded:
        for each in both:
            if each.server is not None:
                guarded.enter_context(server_answers_for(each.server))
        yield


@contextmanager
def bundle_subjects(order: AbOrder, progress: Progress) -> Iterator[Subjects]:
    """The servers of both bundles; none is left when the block ends, however it ends.

    Raises:
        ServerFailed, EnvironmentUnfit: one cannot be started.
    """

    def start(side: Side, told: Progress = SILENT) -> RunningServer:
        arm = order.a if side == "a" else order.b
        runtime = get_runtime(arm.plan.runtime)
        return start_server(
            arm.folder,
            arm.manifest,
            arm.plan,
            runtime,
            place=choose_place(runtime, arm.plan, arm.manifest, order.place),
            pull=order.place.pull,
            name=f"{endpoint_name(arm.manifest.target, order.out)}-{side}",
            progress=told,
            timeout_s=order.server_timeout_s,
            log=order.out / f"server-{side}.log",
        )

    if order.serving == "in-turn":
        yield _Started(start, order)
        return
    with ExitStack() as held:
        both: dict[Side, Subject] = {}
        for side in SIDES:
            progress.phase(f"starting the server of {side.upper()}")
            server = held.enter_context(start(side, progress))
            if order.cores and server.endpoint.server_pid:
                hold(server.endpoint.server_pid, order.cores)
            both[side] = _subject(server, side, order)
        yield _Fixed(both)


@contextmanager
def url_subjects(
    urls: tuple[str, str], model: str, api_key: str, target: str
) -> Iterator[Subjects]:
    """Two servers that are up already; they are left as they are.

    Raises:
        EndpointUnfit: one does not answer, or lists no model and none is named.
    """
    from trt_nemotron.measure.bench.discovery import discover_dialect, discover_model

    both: dict[Side, Subject] = {}
    sides: tuple[tuple[Side, str], ...] = (("a", urls[0]), ("b", urls[1]))
    for side, url in sides:
        asked = model or discover_model(url, api_key=api_key)
        if not asked:
            raise EndpointUnfit(
                f"{url} does not say which model it serves", next_step="Name it with --model."
            )
        dialect = discover_dialect(url, api_key=api_key)
        both[side] = Subject(
            client=Client(url, model=asked, api_key=api_key or None, dialect=dialect),
            url=url,
            model=asked,
            dialect=dialect,
            environment=describe_environment(
                target=target,
                runtime=NOT_TOLD,
                release=NOT_TOLD,
                model=asked,
                configuration_sha256=NOT_TOLD,
                power_mode=NOT_TOLD,
                image=NOT_TOLD,
                weights_sha256=NOT_TOLD,
            ),
            api_key=api_key,
        )
    yield _Fixed(both)


def numbered(workload: Workload, number: int) -> Workload:
    """The same work with prompts of its own: none is sent twice."""
    return replace(workload, seed=workload.seed + number)


def _subject(server: RunningServer, side: Side, order: AbOrder) -> Subject:
    manifest = (order.a if side == "a" else order.b).manifest
    key = api_key_of(server)
    client = Client(server.endpoint.url, model=manifest.served_model_name, api_key=key or None)
    with server_answers_for(server):
        dialect = client.detect_dialect()
    return Subject(
        client=client.having(dialect=dialect),
        url=server.endpoint.url,
        model=manifest.served_model_name,
        dialect=dialect,
        environment=bundle_environment(manifest),
        api_key=key,
        server=server,
    )
