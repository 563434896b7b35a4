"""Power and clocks: what makes the same board answer at another speed."""

from trt_nemotron.deploy.doctor.examination import Examination, Outcome, ok, unknown, warn
from trt_nemotron.deploy.doctor.nvidia import (
    IDENTITY,
    PROCESSES,
    STATE,
    GpuState,
    read_gpus,
    read_processes,
    read_states,
    used_index,
)
from trt_nemotron.deploy.doctor.proc import read_number
from trt_nemotron.deploy.power import NVPMODEL, nvpmodel_mode

_SETTING_BIT = 0x2
_SLOWED_BITS = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
}
"""NVML's nvmlClocksEventReasons."""

_POLICIES = "/sys/devices/system/cpu/cpufreq"
_NEARLY = 0.95


def check_power_mode(at: Examination) -> Outcome:
    """The board is in its fastest power mode."""
    mode = nvpmodel_mode(at.answer(NVPMODEL).output)
    wanted = next(it for it in at.order.target.power_modes if "nvpmodel" in it.set_by)
    if not mode:
        return unknown("nvpmodel does not say; the wrong mode costs up to 2.8 times")
    evidence = f"nvpmodel says {mode}, and the fastest is {wanted.name}"
    return ok(evidence) if mode == wanted.name else warn(evidence, wanted.set_by)


def check_power_limit(at: Examination) -> Outcome:
    """The board may take the power that it was made for."""
    state = _state(at)
    if state is None or state.power_limit_w is None or state.default_power_limit_w is None:
        return unknown("the driver shows no limit; a lower one is a slower board")
    limit, default = state.power_limit_w, state.default_power_limit_w
    evidence = f"{limit:.0f} W, and the board's own is {default:.0f} W"
    remedy = f"sudo nvidia-smi --power-limit={default:.0f}"
    return ok(evidence) if limit >= default else warn(evidence, remedy)


def check_throttling(at: Examination) -> Outcome:
    """Nothing slows the GPU at this moment."""
    state = _state(at)
    if state is None or state.clock_reasons is None:
        return unknown("the driver does not say; a board that is slowed measures like another one")
    reasons = [word for bit, word in _SLOWED_BITS.items() if state.clock_reasons & bit]
    if reasons:
        return warn(f"slowed by: {', '.join(reasons)}")
    return _busy_and_slow(at, state) or ok("nothing slows it at this moment")


def _busy_and_slow(at: Examination, state: GpuState) -> Outcome | None:
    if state.clock_mhz is None or state.busy_percent is None:
        return None
    for fact in at.facts.slow_clocks:
        is_here = fact.target == at.order.target.name and state.busy_percent >= fact.busy_percent
        if is_here and state.clock_mhz <= fact.mhz:
            evidence = (
                f"{state.clock_mhz:.0f} MHz at {state.busy_percent:.0f} % load: {fact.reason}"
            )
            return warn(evidence, fact.answer, fact.source)
    return None


def check_gpu_clocks(at: Examination) -> Outcome:
    """No setting holds the GPU's clocks down."""
    state = _state(at)
    if state is None or state.clock_reasons is None:
        return unknown("the driver does not say; locked clocks are steady, and may be low")
    clock = "" if state.clock_mhz is None else f" at {state.clock_mhz:.0f} MHz"
    most = "" if state.most_clock_mhz is None else f" of {state.most_clock_mhz:.0f}"
    if state.clock_reasons & _SETTING_BIT:
        return warn(f"a setting holds the clocks{clock}{most}")
    return ok("no setting holds the clocks")


def check_gpu_processes(at: Examination) -> Outcome:
    """Nobody else is on the GPU."""
    processes = read_processes(at.answer(PROCESSES))
    if processes is None:
        return unknown("the driver does not say; whoever is there takes memory and time")
    if not processes:
        return ok("nobody is")
    shown = ", ".join(
        f"{it.program} ({it.pid}{f', {it.memory} MiB' if it.memory else ''})" for it in processes
    )
    return warn(f"{len(processes)} on it: {shown}")


def check_cpu_frequency(at: Examination) -> Outcome:
    """The processor may run as fast as it can."""
    pairs = [
        (most, able)
        for name in at.host.listing(_POLICIES)
        if (most := read_number(at.host, f"{_POLICIES}/{name}/scaling_max_freq"))
        and (able := read_number(at.host, f"{_POLICIES}/{name}/cpuinfo_max_freq"))
    ]
    if not pairs:
        return unknown("the kernel does not say; in a virtual machine the host decides")
    capped = [pair for pair in pairs if pair[0] < pair[1] * _NEARLY]
    if capped:
        most, able = min(capped)
        return warn(
            f"{len(capped)} of {len(pairs)} are capped: {most / 1e6:.2f} of {able / 1e6:.2f} GHz"
        )
    return ok(f"up to {max(pairs)[0] / 1e6:.2f} GHz")


def check_governor(at: Examination) -> Outcome:
    """The processor does not first have to be woken to run fast."""
    governors = {
        text.strip()
        for name in at.host.listing(_POLICIES)
        if (text := at.host.read(f"{_POLICIES}/{name}/scaling_governor"))
    }
    if not governors:
        return unknown("the kernel shows no governor; in a virtual machine the host decides")
    evidence = ", ".join(sorted(governors))
    return ok(evidence) if governors == {"performance"} else warn(evidence)


def _state(at: Examination) -> GpuState | None:
    """The state of the board that a server would use."""
    states = read_states(at.answer(STATE))
    gpus = read_gpus(at.answer(IDENTITY))
    index = used_index(gpus, at.order.target.gpu, at.host.environment())
    return states[index] if index < len(states) else None
