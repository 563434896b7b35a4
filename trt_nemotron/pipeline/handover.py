"""Handover: what one wing tells the other, as the other's own values.

`deploy` and `measure` never import each other. What the measuring half shows or keeps of a plan is
translated here.
"""

from trt_nemotron.deploy.bundle.values import Manifest
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.roofline import LOWEST_PUBLISHED_SHARE
from trt_nemotron.measure.bench.environment import describe_environment
from trt_nemotron.measure.bench.values import Environment, Workload
from trt_nemotron.measure.gate.values import PhysicalLimit
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
    tokens = workload.input_tokens
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
