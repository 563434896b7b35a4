"""How many requests it takes to find a percentile over its bound: a tail is dear, and here is why.

Relative bounds on a p99 are refused (`budget.py`). An absolute one is decided by the binomial rule;
these functions say beforehand with which power.
"""

import math

from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.bench.figures.binomial import chance_of_at_most
from trt_nemotron.measure.bench.figures.percentiles import rank_limits, samples_needed

_MOST = 1_000_000


def chance_to_fail(requests: int, quantile: float, share_over: float) -> float:
    """How often the bound is found missed when `share_over` of all requests truly lie over it."""
    low, _ = rank_limits(requests, quantile)
    # The lower limit is the low-th smallest; it lies over the bound when fewer than that keep it.
    return chance_of_at_most(low - 1, requests, 1.0 - share_over) if low else 0.0


def requests_to_fail(quantile: float, share_over: float, power: float = 0.95) -> int:
    """Requests with which a bound that `share_over` truly exceed is found missed so often.

    The power rises in a saw-tooth; the count is rounded up to within two percent.

    Raises:
        InvalidInput: no more requests lie over the bound than may, or a million would not do.
    """
    if not 1.0 - quantile < share_over <= 1.0 or not 0.0 < power < 1.0:
        raise InvalidInput(
            f"a share of {share_over:g} over the bound does not miss a p{quantile * 100:g}",
            next_step=f"Ask for more than {1.0 - quantile:g}, and a power between 0 and 1.",
        )
    count = samples_needed(quantile)
    while count <= _MOST:
        if chance_to_fail(count, quantile, share_over) >= power:
            return count
        count = math.ceil(count * 1.02)
    raise InvalidInput(
        f"a million requests do not tell a share of {share_over:g} from {1.0 - quantile:g}",
        next_step="Set the bound further from what is usual.",
    )
