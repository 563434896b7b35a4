"""Handover: what one wing tells the other, as the other's own values.

`deploy` and `measure` never import each other. What the measuring half shows or keeps of a plan is
translated here.
"""

from trt_nemotron.deploy.bundle.values import Manifest
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.measure.bench.environment import describe_environment
from trt_nemotron.measure.bench.values import Environment
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
    return describe_environment(
        target=manifest.target,
        runtime=manifest.runtime,
        release=manifest.release,
        model=manifest.served_model_name,
        configuration_sha256=manifest.configuration_sha256,
    )
