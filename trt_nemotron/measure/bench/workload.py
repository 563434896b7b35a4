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
}
"""`quick` for every change (p50), `standard` for a release (p95), `stress` for p99 (480 > 459), and
`sweep` to find where more streams stop bringing more tokens: twice as many requests as streams."""

_LIMITS: Mapping[str, tuple[float, float]] = {
    "requests_per_concurrency": (1, 100_000),
    "warmup_requests": (0, 10_000),
    "input_tokens": (1, 262_144),
    "output_tokens": (1, 262_144),
    "timeout_s": (0.05, 86_400),
    "total_timeout_s": (0.1, 7 * 86_400),
}
_HIGHEST_CONCURRENCY = 1024


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
            raise InvalidInput(f"{name} is {value:g}; it must lie between {least:g} and {most:g}")
    wrong = [c for c in workload.concurrencies if not 1 <= c <= _HIGHEST_CONCURRENCY]
    if wrong or not workload.concurrencies:
        raise InvalidInput(
            f"concurrencies must be whole numbers from 1 to {_HIGHEST_CONCURRENCY}",
            evidence=f"{', '.join(map(str, wrong)) or 'none was given'}",
        )
    if len(set(workload.concurrencies)) != len(workload.concurrencies):
        raise InvalidInput("a concurrency was given twice", evidence=str(workload.concurrencies))
    return workload
