"""From names to a plan: load the facts, open the checkpoint, ask the runtime."""

from pathlib import Path

from trt_nemotron.deploy.checkpoint.embedded import embedded_checkpoint_path
from trt_nemotron.deploy.checkpoint.opening import open_checkpoint
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.machine import Machine
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.catalogue import get_runtime, runtime_names
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
    checkpoint. A path where nothing is may be the name of a published checkpoint, which can be
    planned from its facts before its weights are at hand.

    Raises:
        InvalidInput: an unknown target or runtime, or a wish that the runtime does not know.
        CheckpointUnusable: nothing usable at the path.
        PlanRefused: a combination that is refused or does not fit.
    """
    target = load_target(target_name)
    support = _support(target, runtime_name)
    _refuse_other_machine(target, machine)
    _refuse_missing_runtime(target, support)
    runtime = get_runtime(support.runtime)
    checkpoint = _checkpoint(checkpoint_path or embedded_checkpoint_path())
    return runtime.plan(target, machine, checkpoint, wishes), checkpoint


def _checkpoint(path: Path) -> Checkpoint:
    """What lies at the path; else, for a bare name, the published checkpoint called so."""
    if len(path.parts) == 1 and not path.exists():
        from trt_nemotron.deploy.checkpoint.known_model import known_checkpoint

        known = known_checkpoint(path.name)
        if known is not None:
            return known
    return open_checkpoint(path)


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


def _refuse_missing_runtime(target: Target, support: RuntimeSupport) -> None:
    """Refuse a runtime that the facts know and this version cannot use yet."""
    usable = runtime_names()
    if support.runtime in usable:
        return
    others = [it for it in target.runtimes if it.runtime in usable and it.status != "refused"]
    words = [
        f"--runtime {it.runtime}" + (" --experimental" if it.status == "experimental" else "")
        for it in others
    ]
    raise InvalidInput(
        f"this version cannot use the runtime {support.runtime} yet",
        evidence=f"it is what serves this model on {target.name}: {support.reason}",
        next_step=f"What there is: {' or '.join(words)}" if words else "Choose another target.",
    )


def _refuse_other_machine(target: Target, machine: Machine) -> None:
    """A target that is any computer has to be this one; a board may be planned for anywhere."""
    if target.memory_total_bytes is not None:
        return
    if machine.architecture not in target.architectures:
        raise PlanRefused(
            f"target '{target.name}' does not run on {machine.architecture}",
            evidence=f"its architectures: {', '.join(target.architectures)}",
            next_step="Run this on the target, or choose another target.",
        )
