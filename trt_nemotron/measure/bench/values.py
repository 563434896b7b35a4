"""A measurement as a value: raw timestamps per chunk, and what is needed to read them again.

Times are integer nanoseconds of one monotonic clock, counted from the start of the run. Figures are
not stored as truth: they are recomputed from the raw records (`bench --replay`).
"""

from typing import ClassVar, Literal

from trt_nemotron.document import Document, Value

RequestOutcome = Literal[
    "ok", "http_error", "stream_error", "truncated", "timeout", "disconnected", "wrong_length"
]
ChunkKind = Literal["content", "reasoning", "tool_call", "empty", "usage", "done", "error"]
ClockSource = Literal["packet_ring", "kernel_receive", "user_read"]


class Workload(Value, frozen=True, kw_only=True):
    """What is asked of the server.

    Attributes:
        concurrencies: one closed loop is run for each.
        requests_per_concurrency: measured requests for each, warm-up not counted.
        input_tokens: wished prompt length; what it really was stands in each record.
        output_tokens: fixed output length, asked for with `ignore_eos` and verified afterwards.
        seed: of the prompts; prompts are unique within a run.
    """

    concurrencies: tuple[int, ...]
    requests_per_concurrency: int
    warmup_requests: int
    input_tokens: int
    output_tokens: int
    seed: int
    timeout_s: float
    is_thinking_enabled: bool = False


class ChunkRecord(Value, frozen=True, kw_only=True, array_like=True):
    """One server-sent event: when it was there, what it carried."""

    received_ns: int
    kind: ChunkKind
    characters: int


class RequestRecord(Value, frozen=True, kw_only=True):
    """One request as it was seen on the wire.

    Attributes:
        sent_ns: when the request's last byte had been handed to the kernel.
        chunks: every event in order, those that are no tokens included.
        finished_ns: when the stream had ended.
        prompt_tokens, completion_tokens, cached_tokens: the server's own `usage`; -1 when it gave
            none.
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


class Environment(Value, frozen=True, kw_only=True):
    """The fingerprint a figure is only comparable within."""

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


class ClientHealth(Value, frozen=True, kw_only=True):
    """How well the client itself was, so that its own delay is not taken for the server's.

    Attributes:
        cpu_share: processor time of the client over wall time, 1.0 is one core.
        loop_lag_p99_ms: how late the client's own timer fired.
        floor_ttft_p50_ms: TTFT the client reports for a loopback server that answers at once.
    """

    clock: ClockSource
    cpu_share: float
    loop_lag_p99_ms: float
    floor_ttft_p50_ms: float


class Measurement(Document, frozen=True, kw_only=True):
    """One run of the measuring client."""

    SCHEMA: ClassVar[str] = "trt-nemotron/measurement/1"

    url: str
    started_at: str
    workload: Workload
    environment: Environment
    client: ClientHealth
    records: tuple[RequestRecord, ...]
