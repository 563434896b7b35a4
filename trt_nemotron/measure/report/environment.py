"""What a figure depends on, as names and values of the page."""

from trt_nemotron.measure.bench.values import Measurement, Workload
from trt_nemotron.measure.report import words
from trt_nemotron.measure.report.contents import PlanFacts


def environment_facts(
    measurement: Measurement | None, plan: PlanFacts | None
) -> list[tuple[str, str]]:
    """Name and value of everything a figure depends on."""
    facts: list[tuple[str, str]] = []
    if measurement is not None:
        facts += [*_environment(measurement), *_method(measurement)]
    if plan is not None:
        facts += [("Parameters", f"{plan.parameters:,}"), ("Precision", plan.precision)]
    return facts


def _environment(measurement: Measurement) -> list[tuple[str, str]]:
    environment = measurement.environment
    return [
        ("Target", environment.target),
        ("Model", environment.model),
        ("Runtime", f"{environment.runtime} {environment.release}"),
        ("Power mode", environment.power_mode),
        ("Configuration", f"{environment.configuration_sha256[:16]} (SHA-256)"),
        ("Processor", f"{environment.processor}, {environment.cores} cores"),
        ("System", environment.system),
        ("Python", environment.python),
    ]


def _method(measurement: Measurement) -> list[tuple[str, str]]:
    workload, client = measurement.workload, measurement.client
    clocks = {
        "packet_ring": "packets, by the kernel",
        "kernel_receive": "arrival, by the kernel",
        "user_read": "when the client read it",
    }
    return [
        ("Work", _work(workload)),
        ("Stamps", clocks[client.clock]),
        ("Client's own TTFT", f"{words.number(client.floor_ttft_p50_ms)} ms (p50)"),
        ("Client's load", f"{client.cpu_share:.0%} of a core"),
        ("Client", environment_client(measurement)),
    ]


def environment_client(measurement: Measurement) -> str:
    """The measuring client's version, which a baseline must share."""
    return f"trt-nemotron {measurement.environment.client_version}"


def _work(workload: Workload) -> str:
    ladder = workload.input_ladder
    tokens_in = f"{ladder[0]:,} to {ladder[-1]:,}" if ladder else f"{workload.input_tokens:,}"
    loops = {
        "closed": "closed loop",
        "constant": "open loop, even arrivals",
        "poisson": "open loop, Poisson arrivals",
        "trace": "open loop, recorded arrivals",
    }
    talks = f", {workload.turns} turns" if workload.turns > 1 else ""
    loop = loops[workload.arrivals]
    return f"{tokens_in} tokens in, {workload.output_tokens} out, {loop}{talks}"
