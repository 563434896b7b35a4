"""When a loop gives up: the server answers no more, or the time for the whole run is over."""

from trt_nemotron.errors import EndpointUnfit, NoValidMeasurement
from trt_nemotron.measure.bench.wire.exchange import Exchange
from trt_nemotron.measure.bench.wire.load import Terms

FEWEST_FAILURES_TO_STOP = 3
"""In a row; with more connections one for each, so that one bad moment of the server is not all."""


class Patience:
    """Of one loop.

    Args:
        terms: its deadline and streams.
        total: requests that it will send; `None` where that is not known before.
    """

    __slots__ = ("_failures", "_terms", "_total")

    def __init__(self, terms: Terms, total: int | None) -> None:
        self._terms = terms
        self._total = total
        self._failures = 0

    def on_end(self, exchange: Exchange, ended: int, connections: int) -> None:
        """Look at a request that has ended.

        Args:
            exchange: the request.
            ended: requests of the loop that have ended, this one included.
            connections: that the loop has.

        Raises:
            EndpointUnfit: the server has stopped answering.
        """
        is_lost = exchange.ending in {"timeout", "not_connected", "reset"} or not exchange.received
        self._failures = self._failures + 1 if is_lost else 0
        if self._failures < max(FEWEST_FAILURES_TO_STOP, connections):
            return
        begins = exchange.ending == "timeout" and exchange.received
        came = f"; {len(exchange.received):,} bytes of it had come" if begins else ""
        raise EndpointUnfit(
            f"the server stopped {'ending its answers' if begins else 'answering'}: "
            f"{self._failures} requests in a row failed, "
            f"after {ended - self._failures} that were answered",
            evidence=f"{exchange.ending.replace('_', ' ')}: {exchange.fault}{came}",
            next_step="Look at the server's log; nothing of this run was kept."
            + (" Where it is only slow, give a longer --timeout." if begins else ""),
        )

    def out_of_time(self, started: int, ended: int) -> NoValidMeasurement:
        """What to raise when the deadline has passed and not all that was `started` has `ended`."""
        return NoValidMeasurement(
            "the run took longer than it was given",
            evidence=f"{ended} of {self._total or started} requests over {self._terms.streams} "
            f"streams had ended",
            next_step="Ask for fewer requests or tokens, or give it more time.",
        )
