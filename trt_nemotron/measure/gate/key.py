"""What two measurements must share before their figures may be compared."""

from collections.abc import Mapping, Sequence

from trt_nemotron.document import Value, sha256_of, to_tree
from trt_nemotron.measure.bench.values import Measurement

FREE_WORKLOAD_FIELDS = frozenset(
    {
        "concurrencies",
        "requests_per_concurrency",
        "warmup_requests",
        "seed",
        "timeout_s",
        "total_timeout_s",
        "rates_rps",
        "input_ladder",
        "soak_s",
    }
)
"""They say how much was measured, not what; every other field must agree, new ones as well."""

_UNKNOWN = frozenset({"", "unknown"})


def key_of(measurement: Measurement) -> dict[str, object]:
    """Every field that must agree, by name: environment, work, clock and way of asking."""
    return {
        **_fields(measurement.environment),
        **{
            name: value
            for name, value in _fields(measurement.workload).items()
            if name not in FREE_WORKLOAD_FIELDS
        },
        "clock": measurement.client.clock,
        "dialect": measurement.dialect,
        "is_length_fixed": measurement.is_length_fixed,
    }


def key_hash(key: Mapping[str, object]) -> str:
    """A name for the key, the same for equal keys."""
    return sha256_of(dict(sorted(key.items())))


def unknown_fields(measurement: Measurement) -> list[str]:
    """Fields of the environment that nobody knew, so that it cannot be compared with any other."""
    return [name for name, value in _fields(measurement.environment).items() if value in _UNKNOWN]


def key_differences(
    here: Mapping[str, object], there: Mapping[str, object], *, may_differ: Sequence[str] = ()
) -> list[str]:
    """One phrase for each field that differs: `image X instead of Y`, where Y is ours."""
    return [
        f"{name} {there.get(name, 'not recorded')} instead of {here.get(name, 'not recorded')}"
        for name in dict.fromkeys((*here, *there))
        if name not in may_differ and here.get(name) != there.get(name)
    ]


def _fields(value: Value) -> dict[str, object]:
    tree: dict[str, object] = to_tree(value)
    return tree
