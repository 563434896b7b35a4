"""`gate --ab --dry-run`: how many pairs and requests, how long at best, and what will be found."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trt_nemotron.measure.bench.values import Workload
    from trt_nemotron.measure.gate.ab_power import Power
    from trt_nemotron.measure.gate.budget import Budget
    from trt_nemotron.measure.gate.design import Design
    from trt_nemotron.pipeline.ab_order import AbOrder

_OVERHEAD_S = 1.2
"""Of each run, beside its requests: the client measures itself, and rehearses."""


def ab_plan_tree(
    budget: "Budget",
    workload: "Workload",
    design: "Design",
    change_percent: float,
    order: "AbOrder | None" = None,
) -> dict[str, object]:
    """The plan as plain values, for `--json`."""
    least_s = least_run_seconds(workload, order)
    return {
        "serving": order.serving if order is not None else "urls",
        "serving_reason": order.serving_reason if order is not None else "",
        "relative": budget.relative,
        "looks": design.looks,
        "alarm_rate": design.alarm_rate,
        "requests_per_run": requests_per_run(workload),
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
    order: "AbOrder | None" = None,
) -> Iterator[str]:
    """The plan in sentences."""
    if order is not None:
        how = {"together": "both servers up", "in-turn": "a start for each run"}[order.serving]
        yield f"would compare {order.a.folder} (A) with {order.b.folder} (B): {how}"
        yield f"  because {order.serving_reason}"
    least_s = least_run_seconds(workload, order)
    looks = ", ".join(map(str, design.looks))
    yield f"  looks after {looks} pairs; {requests_per_run(workload)} requests in each run"
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
            f"  {metric} worse by {change_percent:g} % is caught, by how much runs of one server "
            f"differ: {found}"
        )


def requests_per_run(workload: "Workload") -> int:
    """Measured and warm-up, all streams."""
    return sum(
        workload.requests_per_concurrency + max(workload.warmup_requests, streams)
        for streams in workload.concurrencies
    )


def least_run_seconds(workload: "Workload", order: "AbOrder | None") -> float:
    """Of one run: decoding at the roofline where the plan has one, and the client's own time."""
    step_s = 0.0
    if order is not None and order.b.plan.roofline is not None:
        step_s = order.b.plan.roofline.point(1, workload.input_tokens).least_step_ms / 1000.0
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
