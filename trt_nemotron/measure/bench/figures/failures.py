"""Requests that were not what was asked for: which legs had any, and how many of which kind.

What fails leaves the figures, and what is left is another work than the one that was asked for: a
server that cuts every fifth answer short looks faster than it is. So such a run may not be judged
by its latencies alone. A gate decides by its budget's `error_share`; everybody else is told here.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from trt_nemotron.measure.bench.figures.summary import LegSummary

OVERLOADED = frozenset({"http_error", "timeout", "disconnected"})
"""What a server does that was sent more than it can take; a ramp looks for just that."""
RAMP_MARK = "ramp: "
"""How the note begins in which a ramp says what it found."""


def find_failures(legs: Iterable[LegSummary], notes: Iterable[str] = ()) -> Iterator[str]:
    """One sentence for each leg with requests that did not end well.

    Args:
        legs: of a summary; warm-up is not in it.
        notes: of the measurement; those of a ramp say that overload was looked for.
    """
    is_ramp = any(note.startswith(RAMP_MARK) for note in notes)
    excused = OVERLOADED if is_ramp else frozenset[str]()
    for leg in legs:
        failed = Counter(
            {
                outcome: count
                for outcome, count in leg.outcomes.items()
                if count and outcome != "ok" and outcome not in excused
            }
        )
        if failed:
            kinds = ", ".join(f"{count} {outcome}" for outcome, count in failed.most_common())
            yield (
                f"{leg.leg.title}: {failed.total()} of {leg.requests} requests were not what was "
                f"asked for ({kinds}); they are left out of the latencies"
            )
