"""Handover: what one wing tells the other, as the other's own values.

`deploy` and `measure` never import each other. What the measuring half shows or keeps of a plan is
translated here.
"""

from trt_nemotron.deploy.bundle.values import Manifest
from trt_nemotron.deploy.observed import Observed
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.roofline import LOWEST_PUBLISHED_SHARE
from trt_nemotron.measure.bench.environment import describe_environment
from trt_nemotron.measure.bench.figures.roofline import Ceiling
from trt_nemotron.measure.bench.values import Environment, Measurement, Workload
from trt_nemotron.measure.gate.values import PhysicalLimit, StartFigures
from trt_nemotron.measure.report.contents import MemoryLine, PlanFacts, SettingLine


def plan_facts(plan: Plan) -> PlanFacts:
    """What a report shows of a plan."""
    return PlanFacts(
        target=plan.target,
        runtime=plan.runtime,
        release=plan.release,
        model=plan.checkpoint.name,
        precision=plan.precision,
        parameters=plan.checkpoint.parameters,
        memory=tuple(
            MemoryLine(
                name=line.name,
                size_bytes=line.size_bytes,
                formula=line.formula,
                status=line.status,
                is_reserve=line.name == "reserve",
            )
            for line in plan.ledger.lines
        ),
        memory_total_bytes=plan.ledger.memory_total_bytes,
        settings=tuple(
            SettingLine(name=choice.name, value=str(choice.value), reason=choice.reason)
            for choice in plan.choices
        ),
        warnings=plan.warnings,
    )


def bundle_environment(manifest: Manifest) -> Environment:
    """The fingerprint of a measurement taken of a bundle's server on this machine."""
    from trt_nemotron.deploy.power import NONE, power_mode
    from trt_nemotron.facts.catalogue import load_target

    return describe_environment(
        target=manifest.target,
        runtime=manifest.runtime,
        release=manifest.release,
        model=manifest.served_model_name,
        configuration_sha256=manifest.configuration_sha256,
        power_mode=power_mode(load_target(manifest.target)),
        image=manifest.image or NONE,
        weights_sha256=manifest.source_sha256 or NONE,
    )


def physical_limits(plan: Plan, workload: Workload) -> tuple[PhysicalLimit, ...]:
    """What the board allows at best for this work; nothing where the plan holds no roofline.

    TPOT is bounded by a step of one sequence, since a server may decode fewer at once than are
    asked for; the rate by as many as are asked for. The shortest context of the work is taken.
    A roofline drawn from published facts may stand too low, so only one from the files counts.
    One stream is expected to reach half of the least share that was published of any.
    """
    roofline = plan.roofline
    if roofline is None or roofline.basis != "files":
        return ()
    tokens = min(workload.input_ladder or (workload.input_tokens,))
    moved = f"{roofline.step_bytes(1, tokens):,} bytes / {roofline.bandwidth_gb_s:g} GB/s"
    return tuple(
        limit
        for concurrency in workload.concurrencies
        for limit in (
            PhysicalLimit(
                metric="tpot_p50_ms",
                concurrency=concurrency,
                best=roofline.point(1, tokens).least_step_ms,
                source=f"a step moves {moved}",
                usual_share=LOWEST_PUBLISHED_SHARE / 2 if concurrency == 1 else 0.0,
            ),
            PhysicalLimit(
                metric="tokens_per_s",
                concurrency=concurrency,
                best=roofline.point(concurrency, tokens).most_tokens_s,
                source=f"roofline at {concurrency} sequences and {tokens} tokens of context",
            ),
        )
    )


def roofline_ceilings(plan: Plan, measurement: Measurement) -> tuple[Ceiling, ...]:
    """What the board allows at best for each leg measured, for `roofline_ratio`.

    Nothing where the plan holds no roofline from files, see `physical_limits`. Of a leg's contexts
    the shortest one is taken, its wished prompt, so no step of it can beat the ceiling.
    """
    roofline = plan.roofline
    if roofline is None or roofline.basis != "files":
        return ()
    return tuple(
        Ceiling(
            concurrency=concurrency,
            most_tokens_s=roofline.point(concurrency, tokens or usual).most_tokens_s,
            input_tokens=tokens,
            source=f"roofline at {concurrency} sequences and {tokens or usual} tokens of context",
        )
        for usual in (measurement.workload.input_tokens,)
        for concurrency, tokens in dict.fromkeys(
            (record.concurrency, record.leg_input_tokens) for record in measurement.records
        )
    )


def start_figures(observed: Observed) -> StartFigures:
    """What a start showed, as far as a budget may bound it.

    Of the memory the worst part counts, among those that the plan claims to know to the byte; what
    it only estimates, nobody can be held to.
    """
    exact = [abs(gap.gap) for gap in observed.memory if gap.is_exact]
    missing = (
        "its log says nothing of memory that the plan knows exactly" if not exact else "",
        "it was not timed" if observed.ready_s is None else "",
    )
    return StartFigures(
        configuration_sha256=observed.configuration_sha256,
        startup_s=observed.ready_s,
        memory_gap_share=max(exact, default=None),
        why_none="; ".join(filter(None, missing)),
    )
