"""The true figures of a run, from the server's own log."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.peers.peer import percentile
from benchmarks.truth.running import Answer


@dataclass(frozen=True, slots=True)
class Truth:
    """What the server did, in milliseconds.

    Attributes:
        first_ns: when the first of all requests had come, probes and warm-up included.
        begin_ns, end_ns: from the first measured request to the last token sent.
        tokens: sent in that time.
    """

    ttft_p50: float
    ttft_p99: float
    itl_p99: float
    tpot_p50: float
    first_ns: int
    begin_ns: int
    end_ns: int
    tokens: int


class TooFew(Exception):
    """The server answered fewer requests than were to be measured."""


def truth_of(log: Sequence[Answer], requests: int) -> Truth:
    """Of the last `requests` that came: what came before was probes and warm-up.

    Raises:
        TooFew: not so many came.
    """
    if len(log) < requests:
        raise TooFew(f"{len(log)} of {requests} requests were answered")
    ordered = sorted(log, key=lambda answer: answer.arrived_ns)
    measured = ordered[-requests:]
    times = [[1e3 * second for second in answer.times_s] for answer in measured]
    begin_ns = measured[0].arrived_ns
    end_ns = max(answer.sent_ns[-1] for answer in measured)
    figures = {
        "ttft_p50": percentile([one[0] for one in times], 0.50),
        "ttft_p99": percentile([one[0] for one in times], 0.99),
        "itl_p99": percentile([b - a for one in times for a, b in pairwise(one)], 0.99),
        "tpot_p50": percentile([(one[-1] - one[0]) / (len(one) - 1) for one in times], 0.50),
    }
    return Truth(
        **{name: value or 0.0 for name, value in figures.items()},
        first_ns=ordered[0].arrived_ns,
        begin_ns=begin_ns,
        end_ns=end_ns,
        tokens=sum(begin_ns <= at for answer in ordered for at in answer.sent_ns),
    )
