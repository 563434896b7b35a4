"""The board and its driver: is it the one that the plan is for?"""

from trt_nemotron.deploy.boards import detect_target, targets_named
from trt_nemotron.deploy.doctor.examination import Examination, Outcome, fail, ok, unknown, warn
from trt_nemotron.deploy.doctor.facts import DriverNeed
from trt_nemotron.deploy.doctor.nvidia import (
    IDENTITY,
    STATE,
    ShownGpu,
    read_gpus,
    read_states,
    used_index,
)
from trt_nemotron.deploy.doctor.versions import is_at_least, version_in
from trt_nemotron.facts.target import Gpu

_MISMATCH = "Driver/library version mismatch"
_KERNEL_MODULE = "/proc/driver/nvidia/version"


def check_driver_answers(at: Examination) -> Outcome:
    """`nvidia-smi` runs and shows a board."""
    answer = at.answer(IDENTITY)
    said = (answer.output + answer.errors).strip()
    first = said.splitlines()[0] if said else "it says nothing"
    if answer.fault == "missing":
        return fail("nvidia-smi is not on PATH")
    if answer.fault:
        return fail(
            first, "A driver that hangs is mended by a restart of the machine; see dmesg for Xid."
        )
    if _MISMATCH in said:
        library = version_in(said)
        return fail(
            f"{_MISMATCH}: the kernel has {_module_version(at) or 'another'}, the library is "
            f"{library or 'another'}",
            "Restart the machine: its driver was updated while the old one was loaded.",
        )
    gpus = read_gpus(answer)
    if not gpus:
        return fail(f"nvidia-smi shows no board: {first}")
    return ok(f"nvidia-smi shows {_names(gpus)}")


def check_board(at: Examination) -> Outcome:
    """The product name is one of the target's."""
    target = at.order.target
    gpus = read_gpus(at.answer(IDENTITY))
    if target.gpu is None:
        return ok("any computer will do")
    if not gpus:
        return _board_by_signs(at)
    wanted = set(target.gpu.product_names)
    if any(gpu.name in wanted for gpu in gpus):
        return ok(f"nvidia-smi shows {_names(gpus)}")
    others = targets_named([gpu.name for gpu in gpus])
    return fail(
        f"nvidia-smi shows {_names(gpus)}; {target.title} is shown as "
        f"{' or '.join(target.gpu.product_names)}",
        f"Examine for what it is: --target {others[0]}." if others else "",
    )


def _board_by_signs(at: Examination) -> Outcome:
    target = at.order.target
    seen = detect_target((), at.host)
    if seen.target == target.name:
        return ok(seen.evidence)
    is_other = seen.target != "cpu"
    return fail(
        f"{target.title} is looked for; {seen.evidence}",
        f"Examine for what it is: --target {seen.target}." if is_other else "",
    )


def check_compute_capability(at: Examination) -> Outcome:
    """The compute capability is the target's."""
    gpu, shown = _board(at)
    if shown is None or not shown.compute_capability:
        return unknown("the driver does not say; kernels for another capability do not run")
    wanted = f"{gpu.sm // 10}.{gpu.sm % 10}"
    evidence = f"the driver says {shown.compute_capability}, the target is {wanted}"
    return ok(evidence) if shown.compute_capability == wanted else fail(evidence)


def check_one_board(at: Examination) -> Outcome:
    """There is one board, so it is clear which is used."""
    gpus = read_gpus(at.answer(IDENTITY))
    if not gpus:
        return unknown("the driver shows none")
    visible = at.host.environment().get("CUDA_VISIBLE_DEVICES")
    if len(gpus) == 1:
        return ok(f"one: {gpus[0].name}")
    if visible is not None and visible.isdigit():
        return ok(f"{len(gpus)} boards; CUDA_VISIBLE_DEVICES names {visible}")
    return warn(f"{_names(gpus)}; a plan is for one")


def check_mig(at: Examination) -> Outcome:
    """The whole board is used, no slice of it."""
    states = read_states(at.answer(STATE))
    if not states:
        return unknown("the driver does not say; in a slice the plan's memory is not there")
    if any(state.mig == "Enabled" for state in states):
        return fail("MIG is enabled: memory and bandwidth of a slice are less than the board's")
    shown = states[0].mig
    return ok(f"MIG is {shown.lower()}" if shown else "the board shows no MIG")


def check_driver_version(at: Examination) -> Outcome:
    """The driver is new enough for the target and the runtime."""
    needs = [need for need in at.facts.drivers if _concerns(need, at)]
    if not needs:
        return ok("no least driver is known for this target")
    version = driver_version(at)
    if not version:
        return unknown("the driver does not say its version; an old one refuses CUDA 13")
    for need in sorted(needs, key=lambda it: not it.is_required):
        if not is_at_least(version, need.minimum):
            verdict = fail if need.is_required else warn
            return verdict(
                f"driver {version}, and {need.minimum} is needed: {need.reason}", source=need.source
            )
    least = max((need.minimum for need in needs), key=float)
    return ok(f"driver {version}, and {least} is enough")


def driver_version(at: Examination) -> str:
    """The driver's version, from the kernel's module where `nvidia-smi` is silent."""
    gpus = read_gpus(at.answer(IDENTITY))
    return version_in(gpus[0].driver) if gpus else _module_version(at)


def _module_version(at: Examination) -> str:
    text = at.host.read(_KERNEL_MODULE) or ""
    # `gcc version 13.3.0` on the second line is none of ours; Thor's says `TempVersion`.
    return version_in(text.splitlines()[0]) if text else ""


def _concerns(need: DriverNeed, at: Examination) -> bool:
    is_runtime = not need.runtimes or at.order.support.runtime in need.runtimes
    return at.order.target.name in need.targets and is_runtime


def _board(at: Examination) -> tuple[Gpu, ShownGpu | None]:
    """The target's GPU, and what the driver shows of it."""
    gpu = at.order.target.gpu
    if gpu is None:
        raise ValueError(f"{at.order.target.name} has no GPU")
    shown = read_gpus(at.answer(IDENTITY))
    return gpu, shown[used_index(shown, gpu, at.host.environment())] if shown else None


def _names(gpus: tuple[ShownGpu, ...]) -> str:
    names = [gpu.name for gpu in gpus]
    return ", ".join(f"{names.count(it)} x {it}" for it in dict.fromkeys(names))
