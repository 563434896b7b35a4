"""One peer and one thing that can be wrong with a stream: what it makes of it."""

from benchmarks.peers.faults import FAULTS, TOKENS
from benchmarks.peers.faulty_server import faulty_server
from benchmarks.peers.peer import Peer
from benchmarks.peers.results import FaultRow
from benchmarks.peers.rounds import Failed, client_core, prepared, read, run
from benchmarks.peers.surroundings import now

REQUESTS, STREAMS = 24, 4
PATIENCE_S = 3.0
TIMEOUT_S = 75.0


def ask_about(peer: Peer, name: str, version: str, fault: str) -> FaultRow:
    """Of `REQUESTS` requests. A peer that says nothing is told of in the row.

    Raises:
        Unavailable: it cannot be installed.
    """
    facts = {"client": name, "version": version, "wire_fault": fault, "at": now()}
    with (
        faulty_server(FAULTS[fault]) as server,
        prepared(
            peer, server.url, streams=STREAMS, requests=REQUESTS, tokens=TOKENS,
            patience_s=PATIENCE_S,
        ) as work,
    ):  # fmt: skip
        cost = run(peer, work, client_core(), TIMEOUT_S)
        came = list(server.struck)
        try:
            said = read(peer, work, cost)
        except Failed as error:
            why = f"did not end within {TIMEOUT_S:g} s" if cost.exit_code == -9 else str(error)
            return FaultRow(**facts, asked=REQUESTS, fault=why)
    return FaultRow(
        **facts,
        asked=REQUESTS,
        came=len(came),
        struck=sum(came[-REQUESTS:]) if len(came) >= REQUESTS else None,
        good=said.good,
        failed=said.failed,
        names=dict(said.names),
        ttft_ms=said.ttft_p50,
        tpot_ms=said.tpot_p50,
    )
