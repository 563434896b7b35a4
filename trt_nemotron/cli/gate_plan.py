"""`gate --ab --dry-run`: how many pairs and requests, how long at best, and what will be found."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trt_nemotron.measure.bench.values import Workload
    from trt_nemotron.measure.gate.ab_power import Power
    from trt_nemotron.measure.gate.ab_record import Turns
    from trt_nemotron.measure.gate.budget import Budget
    from trt_nemotron.measure.gate.design import Design
    from trt_nemotron.pipeline.ab_order import AbOrder

_OVERHEAD_S = 1.2
"""Of each run, beside its requests: the client measures itself, and rehearses."""
_REQUEST_OVERHEAD_S = 0.005
"""Of each single request: its share of what lies between two rounds."""


def ab_plan_tree(
    budget: "Budget",
    workload: "Workload",
    design: "Design",
    change_percent: float,
    *,
    turns: "Turns",
    order: "AbOrder | None" = None,
) -> dict[str, object]:
    """The plan as plain values, for `--json`."""
    least_s = least_seconds(workload, turns, order)
    return {
        "turns": turns,
        "serving": order.serving if order is not None else "urls",
        "serving_reason": order.serving_reason if order is not None else "",
        "relative": budget.relative,
        "looks": design.looks,
        "alarm_rate": design.alarm_rate,
        "requests_per_run": requests_per_run(workload, turns),
        "least_seconds_per_run": least_s,
        "least_seconds": tuple(2 * least_s * look for look in design.looks),
        "power": [
            {
                "metric": metric,
                "change_percent": change_percent,
                "run_spread_percent": power.spread_percent,
                "caught": power.caught,
                "pairs_median": power.pairs,
            }
            for metric, powers in _powers(budget, design, change_percent)
            for power in powers
        ],
    }


def ab_plan_lines(
    budget: "Budget",
    workload: "Workload",
    design: "Design",
    change_percent: float,
    *,
    turns: "Turns",
    order: "AbOrder | None" = None,
) -> Iterator[str]:
    """The plan in sentences."""
    if order is not None:
        how = {"together": "both servers up", "in-turn": "a start for each run"}[order.serving]
        yield f"would compare {order.a.folder} (A) with {order.b.folder} (B): {how}"
        yield f"  because {order.serving_reason}"
    least_s = least_seconds(workload, turns, order)
    looks = ", ".join(map(str, design.looks))
    if turns == "requests":
        yield f"  looks after {looks} pairs of neighbouring requests"
    else:
        count = requests_per_run(workload, turns)
        yield f"  looks after {looks} pairs; {count} requests in each run"
    yield (
        f"  at least {2 * least_s * design.looks[0]:.0f} s to the first look, "
        f"{2 * least_s * design.most_pairs:.0f} s to the cap"
        + (", and two starts for each pair" if order and order.serving == "in-turn" else "")
    )
    yield f"  false alarms of the whole gate: at most {design.alarm_rate:.0%}"
    for metric, powers in _powers(budget, design, change_percent):
        found = "; ".join(
            f"{power.caught:.0%} at {power.spread_percent:g} %"
            + (f" ({power.pairs} pairs)" if power.pairs else "")
            for power in powers
        )
        yield (
            f"  {metric} worse by {change_percent:g} % is caught, by how much {turns} of one "
            f"server differ: {found}"
        )


def requests_per_run(workload: "Workload", turns: "Turns") -> int:
    """Measured and warm-up, all streams; one where single requests are sent in turn."""
    if turns == "requests":
        return 1
    return sum(
        workload.requests_per_concurrency + max(workload.warmup_requests, streams)
        for streams in workload.concurrencies
    )


def least_seconds(workload: "Workload", turns: "Turns", order: "AbOrder | None") -> float:
    """Of one run, or of one request where these are sent in turn: decoding at the roofline where
    the plan has one, and the client's own time.
    """
    step_s = 0.0
    if order is not None and order.b.plan.roofline is not None:
        step_s = order.b.plan.roofline.point(1, workload.input_tokens).least_step_ms / 1000.0
    if turns == "requests":
        return _REQUEST_OVERHEAD_S + workload.output_tokens * step_s
    decoding = sum(
        workload.requests_per_concurrency * workload.output_tokens * step_s / streams
        for streams in workload.concurrencies
    )
    return _OVERHEAD_S + decoding


def _powers(
    budget: "Budget", design: "Design", change_percent: float
) -> Iterator[tuple[str, tuple["Power", ...]]]:
    from trt_nemotron.measure.gate.ab_power import SPREADS_PERCENT, power_at
    from trt_nemotron.measure.gate.metrics import metric_named

    done: dict[tuple[object, float], tuple[Power, ...]] = {}
    for bound in budget.relative:
        metric, percent = metric_named(bound.metric), bound.worse_by_at_most_percent
        kind = (metric.direction, percent)
        if kind not in done:
            done[kind] = tuple(
                power_at(metric, design, percent, change_percent, spread)
                for spread in SPREADS_PERCENT
            )
        yield bound.metric, done[kind]
