"""The part of a run that has figures of its own."""

from trt_nemotron.document import Value


class Leg(Value, frozen=True, kw_only=True):
    """A part of a run whose requests are alike, and which has figures of its own.

    Attributes:
        concurrency: streams of a closed loop, or the largest number under way of an open one.
        rate_rps: of an open loop; 0.0 for a closed one.
        input_tokens: wished prompt length where the run has several; 0 for the workload's one.
    """

    concurrency: int
    rate_rps: float = 0.0
    input_tokens: int = 0

    @property
    def title(self) -> str:
        """As a heading: `concurrency 8`, `4 requests/s`, with the prompt length where it varies."""
        base = (
            f"{self.rate_rps:g} requests/s" if self.rate_rps else f"concurrency {self.concurrency}"
        )
        return f"{base}, {self.input_tokens} tokens in" if self.input_tokens else base
