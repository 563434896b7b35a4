"""Client and server side by side, and what lies between them, in one sentence a leg."""

from collections.abc import Iterator, Sequence

from trt_nemotron.measure.bench.figures.request_figures import measure_request
from trt_nemotron.measure.bench.values import RequestRecord, ServerSide


def server_notes(servers: Sequence[ServerSide], records: Sequence[RequestRecord]) -> Iterator[str]:
    """One sentence for each leg of which the server told TTFT or TPOT.

    `records` are all of the run, warm-up included: the server does not know which that were.
    """
    for server in servers:
        sound = [r for r in records if r.leg == server.leg and r.gives_figures]
        if sound:
            yield from _sentence(server, sound, sum(r.leg == server.leg for r in records))


def _sentence(server: ServerSide, sound: Sequence[RequestRecord], requests: int) -> Iterator[str]:
    figures = [measure_request(record) for record in sound]
    parts = [
        f"{name} {theirs:.4g} ms on the server's clock and {ours:.4g} on ours"
        for name, theirs, ours in (
            ("TTFT", server.ttft_mean_ms, _mean([f.service_ttft_ms for f in figures])),
            ("TPOT", server.tpot_mean_ms, _mean([f.tpot_ms for f in figures if f.tpot_ms])),
        )
        if theirs is not None and ours is not None
    ]
    if not parts:
        return
    others = server.requests and server.requests != requests
    yield (
        f"{server.leg.title}: means with warm-up are {', '.join(parts)} ({server.source}); between "
        f"them lie network, HTTP and what a request waits for before the server's clock starts"
        + (
            f"; the server counted {server.requests} requests where we sent {requests}, so the two "
            f"are not of the same"
            if others
            else ""
        )
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
