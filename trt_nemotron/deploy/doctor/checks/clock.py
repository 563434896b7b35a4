"""Clocks: what a latency is measured with."""

from trt_nemotron.deploy.doctor.examination import Examination, Outcome, ok, unknown, warn

_SLOW_SOURCES = {"hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit"}
_COARSE_S = 1e-6
_SOURCE = "/sys/devices/system/clocksource/clocksource0/current_clocksource"


def check_clock_synchronised(at: Examination) -> Outcome:
    """The clock agrees with those of others."""
    is_synchronised = at.host.is_clock_synchronised()
    if is_synchronised is None:
        return unknown(
            "the kernel does not say; records of two machines may not be put side by side"
        )
    return ok("the kernel says so") if is_synchronised else warn("the kernel says that it is not")


def check_clock_resolution(at: Examination) -> Outcome:
    """The clock that measures is fine enough for a token."""
    step = at.host.clock_resolution_s()
    evidence = f"steps of {step * 1e9:,.0f} ns"
    return ok(evidence) if 0 < step <= _COARSE_S else warn(evidence)


def check_clock_source(at: Examination) -> Outcome:
    """The clock is read from the processor itself, in nanoseconds."""
    source = (at.host.read(_SOURCE) or "").strip()
    if not source.replace("_", "").replace("-", "").isalnum():
        return unknown("the kernel does not say; a slow clock is part of every figure")
    return warn(source) if source in _SLOW_SOURCES else ok(source)


def check_packet_timestamps(at: Examination) -> Outcome:
    """The kernel tells when packets came, so that a client that is late knows it."""
    does = at.host.stamps_packets()
    if does is None:
        return unknown("this system has no such stamps; the client's own clock is used alone")
    if does:
        return ok("a packet sent to ourselves was stamped")
    return warn("a packet sent to ourselves was not stamped")
