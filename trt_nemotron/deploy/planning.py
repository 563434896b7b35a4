"""From names to a plan: load the facts, open the checkpoint, ask the runtime."""

from pathlib import Path

from trt_nemotron.deploy.checkpoint.embedded import embedded_checkpoint_path
from trt_nemotron.deploy.checkpoint.opening import open_checkpoint
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.machine import Machine
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.catalogue import get_runtime
from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.errors import InvalidInput, PlanRefused
from trt_nemotron.facts.catalogue import load_target
from trt_nemotron.facts.target import RuntimeSupport, Target


def make_plan(
    target_name: str,
    runtime_name: str | None,
    checkpoint_path: Path | None,
    wishes: Wishes,
    machine: Machine,
) -> tuple[Plan, Checkpoint]:
    """The plan for a checkpoint on a target, and the checkpoint it was made for.

    `runtime_name` None takes the target's default runtime, `checkpoint_path` None the embedded
    checkpoint.

    Raises:
        InvalidInput: an unknown target or runtime, or a wish that the runtime does not know.
        CheckpointUnusable: nothing usable at the path.
        PlanRefused: a combination that is refused or does not fit.
    """
    target = load_target(target_name)
    support = _support(target, runtime_name)
    _refuse_other_machine(target, machine)
    runtime = get_runtime(support.runtime)
    checkpoint = open_checkpoint(checkpoint_path or embedded_checkpoint_path())
    return runtime.plan(target, machine, checkpoint, wishes), checkpoint


def _support(target: Target, runtime_name: str | None) -> RuntimeSupport:
    if runtime_name is None:
        return target.runtimes[0]
    for support in target.runtimes:
        if support.runtime == runtime_name:
            if support.status == "refused":
                raise PlanRefused(
                    f"runtime '{runtime_name}' is refused on target '{target.name}'",
                    evidence=f"{support.reason} ({support.source})",
                    next_step=f"Use the default: --runtime {target.runtimes[0].runtime}",
                )
            return support
    known = ", ".join(support.runtime for support in target.runtimes)
    raise InvalidInput(
        f"runtime '{runtime_name}' is not known for target '{target.name}'",
        evidence=f"known: {known}",
        next_step=f"Use the default: --runtime {target.runtimes[0].runtime}",
    )


def _refuse_other_machine(target: Target, machine: Machine) -> None:
    if machine.architecture not in target.architectures:
        raise PlanRefused(
            f"target '{target.name}' does not run on {machine.architecture}",
            evidence=f"its architectures: {', '.join(target.architectures)}",
            next_step="Run this on the target, or choose another target.",
        )
