"""A measurement as a value: raw timestamps per chunk, and what is needed to read them again.

Times are integer nanoseconds of one monotonic clock, counted from the start of the run. Figures are
not stored as truth: they are recomputed from the raw records (`bench --replay`).
"""

from typing import ClassVar, Literal

from trt_nemotron.document import Document, Value
from trt_nemotron.measure.bench.client_health import ClientHealth, ClockSource
from trt_nemotron.measure.bench.leg import Leg

RequestOutcome = Literal[
    "ok", "http_error", "stream_error", "truncated", "timeout", "disconnected", "wrong_length"
]
ChunkKind = Literal["content", "reasoning", "tool_call", "blank", "empty", "usage", "done", "error"]
"""`blank` is text of white space alone: a token inside an answer, never the first one."""
Arrivals = Literal["closed", "constant", "poisson", "trace"]
"""When requests are sent: when a stream is free, or by a schedule whatever the server does."""


class Workload(Value, frozen=True, kw_only=True):
    """What is asked of the server.

    Attributes:
        concurrencies: one closed loop is run for each.
        requests_per_concurrency: measured requests for each, warm-up not counted.
        input_tokens: wished prompt length; what it really was stands in each record.
        output_tokens: fixed output length, asked for with `ignore_eos` and verified afterwards.
        seed: of the prompts; prompts are unique within a run.
        warmup_requests: before each concurrency, at least one for every stream of it.
        timeout_s: of one request, from its sending to its end.
        total_timeout_s: of the whole run.
        arrivals: `closed` loops over streams; the others are open loops, timed from the start that
            was intended.
        rates_rps: of an open loop, requests per second; one leg is run for each. `concurrencies`
            is then the one largest number of requests under way.
        trace_sha256: of the recorded arrivals that were played; empty for none.
        input_ladder: prompt lengths, one leg for each; empty for `input_tokens` alone.
        turns: requests of one conversation, each with the whole conversation so far.
        think_s: pause of a conversation between an answer and its next question.
        shared_prefix: share of a prompt's words that all prompts of the run begin with.
        has_tools: whether a tool is offered and a call of it asked for.
        soak_s: how long each leg goes on measuring; 0.0 to count requests instead.
    """

    concurrencies: tuple[int, ...]
    requests_per_concurrency: int
    warmup_requests: int
    input_tokens: int
    output_tokens: int
    seed: int
    timeout_s: float
    is_thinking_enabled: bool = False
    total_timeout_s: float = 3600.0
    arrivals: Arrivals = "closed"
    rates_rps: tuple[float, ...] = ()
    trace_sha256: str = ""
    input_ladder: tuple[int, ...] = ()
    turns: int = 1
    think_s: float = 0.0
    shared_prefix: float = 0.0
    has_tools: bool = False
    soak_s: float = 0.0


class ChunkRecord(Value, frozen=True, kw_only=True, array_like=True, gc=False):
    """One server-sent event: when it was there, what it carried.

    Attributes:
        received_ns: stamp of the read that completed it. Events that one read completed share it.
        tokens_so_far: completion tokens by the server's own running count; -1 when it gave none.
    """

    received_ns: int
    kind: ChunkKind
    characters: int
    tokens_so_far: int = -1


class RequestRecord(Value, frozen=True, kw_only=True):
    """One request as it was seen on the wire.

    Attributes:
        connect_ns: how long opening the connection took; 0 when an open one was used again.
        sent_ns: read just before the call that handed the request's last byte to the kernel.
        send_call_ns: how long that call took: how uncertain `sent_ns` is.
        chunks: every event in order, those that are no tokens included.
        finished_ns: when the stream had ended.
        prompt_tokens, completion_tokens, cached_tokens: the server's own `usage`; -1 when it gave
            none.
        clock: what stamped the chunks of this request.
        void: why its times give no figure although it was answered: the wall clock was stepped, or
            packets were missed; empty when they do.
        rate_rps, leg_input_tokens: of the leg it belongs to, see `Leg`.
        intended_ns: when an open loop meant to send it; -1 in a closed loop. Latency counts from
            there, so that a server that stalls is not spared the requests it kept waiting.
        session, turn: of which conversation, and its how manieth request; -1 and 0 for none.
        worker: the process of the client that sent it, from 0.
    """

    index: int
    concurrency: int
    is_warmup: bool
    outcome: RequestOutcome
    connect_ns: int
    sent_ns: int
    finished_ns: int
    chunks: tuple[ChunkRecord, ...]
    status_code: int = 0
    finish_reason: str = ""
    prompt_tokens: int = -1
    completion_tokens: int = -1
    cached_tokens: int = -1
    error: str = ""
    send_call_ns: int = 0
    clock: ClockSource = "user_read"
    void: str = ""
    rate_rps: float = 0.0
    leg_input_tokens: int = 0
    intended_ns: int = -1
    session: int = -1
    turn: int = 0
    worker: int = 0

    @property
    def leg(self) -> Leg:
        """The leg it belongs to."""
        return Leg(
            concurrency=self.concurrency,
            rate_rps=self.rate_rps,
            input_tokens=self.leg_input_tokens,
        )

    @property
    def gives_figures(self) -> bool:
        """Whether its times may enter a figure."""
        return self.outcome == "ok" and not self.void


class Environment(Value, frozen=True, kw_only=True):
    """The fingerprint a figure is only comparable within.

    Attributes:
        power_mode: of the board; `none` where it has none.
        image: of the container that served, by digest; `none` for a process.
        weights_sha256: over the checkpoint's files; `none` where it was not kept.
    """

    target: str
    runtime: str
    release: str
    model: str
    configuration_sha256: str
    client_version: str
    python: str
    system: str
    processor: str
    cores: int
    power_mode: str = "none"
    image: str = "none"
    weights_sha256: str = "none"


class ServerSide(Value, frozen=True, kw_only=True):
    """What the server said of itself for one leg: means over all its requests, warm-up included.

    Attributes:
        source: which server's figures, and where they were read.
        requests: that the server timed; 0 where it does not count them.
        ttft_mean_ms, tpot_mean_ms, queue_mean_ms, e2e_mean_ms: `None` where it has no such figure.
    """

    leg: Leg
    source: str
    requests: int = 0
    ttft_mean_ms: float | None = None
    tpot_mean_ms: float | None = None
    queue_mean_ms: float | None = None
    e2e_mean_ms: float | None = None


class Energy(Value, frozen=True, kw_only=True):
    """What one leg took of the board, warm-up included; or why nobody knows.

    Attributes:
        joules: `None` where it could not be measured; `reason` then says why.
        duration_s: over which they were spent.
        source: what measured it, and what part of the machine that is.
    """

    leg: Leg
    joules: float | None
    duration_s: float
    source: str = ""
    samples: int = 0
    reason: str = ""


class Throttled(Value, frozen=True, kw_only=True):
    """For how long clocks were lowered: of what, and why."""

    what: str
    seconds: float


class Surroundings(Value, frozen=True, kw_only=True):
    """What else went on where the server runs while one leg was measured, warm-up included.

    Attributes:
        processors: that the machine has.
        other_load_processors: how many were kept busy, on average, by neither this client nor the
            server; `None` where the server's processes cannot be told from others.
        stolen_processors: how many a hypervisor gave to somebody else, on average.
        throttled: for how long clocks were lowered; what was not throttled is left out.
        lowered_clocks: cooling devices that lowered clocks before or after the leg.
    """

    leg: Leg
    duration_s: float
    processors: int
    other_load_processors: float | None = None
    stolen_processors: float = 0.0
    throttled: tuple[Throttled, ...] = ()
    lowered_clocks: tuple[str, ...] = ()


class Measurement(Document, frozen=True, kw_only=True):
    """One run of the measuring client.

    Attributes:
        dialect: how the server was spoken to, see `openai.dialect`.
        profile: name of the workload profile it started from; empty for none.
        is_length_fixed: whether the server was asked for exactly `output_tokens` tokens.
        notes: what happened on the way that no record shows, one sentence each.
        server_side: of each leg for which the server tells its own figures.
        energy: of each leg when it was asked for.
        surroundings: of each leg where the server runs on this machine.
    """

    SCHEMA: ClassVar[str] = "trt-nemotron/measurement/1"

    url: str
    started_at: str
    workload: Workload
    environment: Environment
    client: ClientHealth
    records: tuple[RequestRecord, ...]
    dialect: str = ""
    profile: str = ""
    is_length_fixed: bool = True
    notes: tuple[str, ...] = ()
    server_side: tuple[ServerSide, ...] = ()
    energy: tuple[Energy, ...] = ()
    surroundings: tuple[Surroundings, ...] = ()
