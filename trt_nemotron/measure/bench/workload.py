"""Named workloads, and how one is changed by what the user asks for."""

from collections.abc import Mapping

import msgspec

from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.bench.values import Workload

PROFILES: Mapping[str, Workload] = {
    "quick": Workload(
        concurrencies=(1, 4),
        requests_per_concurrency=24,
        warmup_requests=3,
        input_tokens=128,
        output_tokens=64,
        seed=1,
        timeout_s=60.0,
        total_timeout_s=600.0,
    ),
    "standard": Workload(
        concurrencies=(1, 4, 8),
        requests_per_concurrency=100,
        warmup_requests=8,
        input_tokens=512,
        output_tokens=128,
        seed=1,
        timeout_s=120.0,
        total_timeout_s=3600.0,
    ),
    "stress": Workload(
        concurrencies=(1, 8, 32),
        requests_per_concurrency=480,
        warmup_requests=32,
        input_tokens=1024,
        output_tokens=256,
        seed=1,
        timeout_s=300.0,
        total_timeout_s=6 * 3600.0,
    ),
    "sweep": Workload(
        concurrencies=(1, 2, 4, 8, 16, 32, 64, 128, 256),
        requests_per_concurrency=512,
        warmup_requests=32,
        input_tokens=512,
        output_tokens=64,
        seed=1,
        timeout_s=600.0,
        total_timeout_s=6 * 3600.0,
    ),
    "long-context": Workload(
        concurrencies=(1,),
        requests_per_concurrency=8,
        warmup_requests=1,
        input_tokens=1024,
        output_tokens=64,
        seed=1,
        timeout_s=1800.0,
        total_timeout_s=12 * 3600.0,
        input_ladder=(1024, 4096, 16_384, 65_536, 131_072, 262_144),
    ),
    "agent": Workload(
        concurrencies=(1, 4),
        requests_per_concurrency=96,
        warmup_requests=4,
        input_tokens=2048,
        output_tokens=128,
        seed=1,
        timeout_s=300.0,
        total_timeout_s=3600.0,
        turns=4,
        shared_prefix=0.8,
        has_tools=True,
    ),
    "open": Workload(
        concurrencies=(256,),
        requests_per_concurrency=200,
        warmup_requests=8,
        input_tokens=512,
        output_tokens=128,
        seed=1,
        timeout_s=300.0,
        total_timeout_s=6 * 3600.0,
        arrivals="poisson",
        rates_rps=(0.5, 1.0, 2.0, 4.0),
    ),
    "soak": Workload(
        concurrencies=(4,),
        requests_per_concurrency=1,
        warmup_requests=8,
        input_tokens=512,
        output_tokens=128,
        seed=1,
        timeout_s=300.0,
        total_timeout_s=4000.0,
        soak_s=3600.0,
    ),
}
"""`quick` for every change (p50), `standard` for a release (p95), `stress` for p99 (480 > 459), and
`sweep` to find where more streams stop bringing more tokens: twice as many requests as streams.
`long-context` climbs until the server refuses, `agent` holds conversations with tools behind a
common beginning, `open` sends by a schedule, `soak` goes on for an hour."""

_LIMITS: Mapping[str, tuple[float, float]] = {
    "requests_per_concurrency": (1, 100_000),
    "warmup_requests": (0, 10_000),
    "input_tokens": (1, 262_144),
    "output_tokens": (1, 262_144),
    "timeout_s": (0.05, 86_400),
    "total_timeout_s": (0.1, 7 * 86_400),
    "turns": (1, 1000),
    "think_s": (0, 3600),
    "shared_prefix": (0, 1),
    "soak_s": (0, 7 * 86_400),
}
_RATES = (0.001, 10_000.0)
_HIGHEST_CONCURRENCY = 65_536
"""Of all processes and machines that send together; see `workers.senders` for one."""


def find_profile(name: str) -> Workload:
    """The workload called `name`.

    Raises:
        InvalidInput: there is none of that name.
    """
    if name not in PROFILES:
        raise InvalidInput(
            f"no workload profile is called {name!r}",
            next_step=f"Choose one of: {', '.join(PROFILES)}.",
        )
    return PROFILES[name]


def change_workload(base: Workload, **changes: object) -> Workload:
    """`base` with the fields that are not `None` replaced, checked.

    Raises:
        InvalidInput: a value that cannot be measured.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    return check_workload(msgspec.structs.replace(base, **given))


def check_workload(workload: Workload) -> Workload:
    """The workload itself, when every value of it can be measured.

    Raises:
        InvalidInput: naming the value and its limits.
    """
    for name, (least, most) in _LIMITS.items():
        value = getattr(workload, name)
        if not least <= value <= most:
            raise InvalidInput(
                f"{name} must lie between {least:g} and {most:g}",
                evidence=f"{value:g}",
                next_step="Give a value between these.",
            )
    wrong = [c for c in workload.concurrencies if not 1 <= c <= _HIGHEST_CONCURRENCY]
    if wrong or not workload.concurrencies:
        raise InvalidInput(
            f"concurrencies must be whole numbers from 1 to {_HIGHEST_CONCURRENCY}",
            evidence=f"{', '.join(map(str, wrong)) or 'none was given'}",
        )
    if len(set(workload.concurrencies)) != len(workload.concurrencies):
        raise InvalidInput("a concurrency was given twice", evidence=str(workload.concurrencies))
    _check_ladder(workload)
    _check_arrivals(workload)
    _check_length_of_run(workload)
    return workload


def _check_ladder(workload: Workload) -> None:
    least, most = _LIMITS["input_tokens"]
    ladder = workload.input_ladder
    if any(not least <= length <= most for length in ladder) or list(ladder) != sorted(set(ladder)):
        raise InvalidInput(
            f"an input ladder rises, each length between {least:g} and {most:g}",
            evidence=", ".join(map(str, ladder)),
        )


def _check_arrivals(workload: Workload) -> None:
    """An open loop has rates and one cap; what needs an answer first cannot follow a schedule."""
    rates = workload.rates_rps
    if workload.arrivals == "closed":
        if rates:
            raise InvalidInput(
                "rates go with an open loop",
                evidence=f"{rates} requests/s and closed arrivals",
                next_step="Choose --arrivals constant or poisson, or leave out --rate.",
            )
        return
    if not rates or any(not _RATES[0] <= rate <= _RATES[1] for rate in rates):
        raise InvalidInput(
            f"an open loop needs rates between {_RATES[0]:g} and {_RATES[1]:g} requests/s",
            evidence=", ".join(f"{rate:g}" for rate in rates) or "none was given",
            next_step="Give --rate, for example --rate 0.5,1,2.",
        )
    if len(set(rates)) != len(rates):
        raise InvalidInput(
            "a rate was given twice", evidence=str(rates), next_step="Give each rate once."
        )
    if len(workload.concurrencies) > 1:
        raise InvalidInput(
            "an open loop has one largest number of requests under way",
            evidence=f"concurrencies {workload.concurrencies}",
            next_step="Give one --concurrency with --rate or --trace.",
        )
    if workload.turns > 1 or workload.think_s:
        raise InvalidInput(
            "conversations cannot follow a schedule: a next question waits for its answer",
            next_step="Leave out --rate, --arrivals and --trace, or --turns and --think.",
        )
    if workload.arrivals == "trace" and workload.soak_s:
        raise InvalidInput("a trace says itself how long it takes", next_step="Leave out --soak.")


def _check_length_of_run(workload: Workload) -> None:
    if workload.think_s and workload.turns == 1:
        raise InvalidInput(
            "a pause between turns needs turns", next_step="Give --turns with --think."
        )
    legs = max(1, len(workload.input_ladder)) * max(
        len(workload.rates_rps), len(workload.concurrencies)
    )
    if workload.soak_s * legs >= workload.total_timeout_s:
        raise InvalidInput(
            f"{legs} soaks of {workload.soak_s:g} s do not fit into {workload.total_timeout_s:g} s",
            next_step="Give a longer --total-timeout, or a shorter --soak.",
        )
