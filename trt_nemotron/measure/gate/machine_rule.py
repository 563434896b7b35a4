"""What befell the server's machine while it was measured, held against what a budget allows.

A busy neighbour or lowered clocks make a sound server slow, and a baseline so high that nothing is
found by it: such a run is judged neither good nor bad.
"""

from collections.abc import Iterator

from trt_nemotron.measure.bench.values import Measurement, Surroundings
from trt_nemotron.measure.gate.demands import MachineRule


def machine_faults(measurement: Measurement, rule: MachineRule) -> Iterator[str]:
    """Why the figures may be those of the machine's state; nothing where nobody looked."""
    for seen in measurement.surroundings:
        yield from _load_faults(seen, rule)
        yield from _throttling_faults(seen, rule)


def _load_faults(seen: Surroundings, rule: MachineRule) -> Iterator[str]:
    others, stolen = seen.other_load_processors or 0.0, seen.stolen_processors
    if others + stolen > rule.other_load_share_at_most * seen.processors:
        yield (
            f"other programs kept {others:.1f} and a hypervisor took {stolen:.1f} of "
            f"{seen.processors} processors at {seen.leg.title}, at most "
            f"{rule.other_load_share_at_most:.0%} may be"
        )


def _throttling_faults(seen: Surroundings, rule: MachineRule) -> Iterator[str]:
    for each in seen.throttled:
        if each.seconds > rule.throttled_share_at_most * seen.duration_s:
            yield (
                f"clocks were lowered for {each.seconds:.1f} of {seen.duration_s:.1f} s at "
                f"{seen.leg.title} ({each.what}), at most {rule.throttled_share_at_most:.0%} may be"
            )
    if seen.lowered_clocks and rule.throttled_share_at_most < 1.0:
        yield f"clocks were lowered by {', '.join(seen.lowered_clocks)} at {seen.leg.title}"
