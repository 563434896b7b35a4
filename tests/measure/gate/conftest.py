from collections.abc import Callable
from typing import Any

import pytest

from trt_nemotron.measure.gate.budget import AbsoluteBound, Budget, RelativeBound, SmokeRule

MakeBudget = Callable[..., Budget]


@pytest.fixture
def make_budget() -> MakeBudget:
    """A budget for `cpu`: `make(ttft_p50_ms=10)`, at concurrency 1 unless said otherwise."""

    def make(
        *, at: int = 1, relative: dict[str, float] | None = None, needs_smoke: bool = False,
        minimum_samples: int = 10, more: dict[str, Any] | None = None, **bounds: float,
    ) -> Budget:  # fmt: skip
        gains = {"tokens_per_s", "tokens_per_s_per_user", "goodput_rps"}
        return Budget(
            target="cpu",
            bounds=tuple(
                AbsoluteBound(
                    metric=name,
                    concurrency=at,
                    **{"at_least" if name in gains else "at_most": float(bound)},
                )
                for name, bound in bounds.items()
            ),
            relative=tuple(
                RelativeBound(metric=name, concurrency=at, worse_by_at_most_percent=percent)
                for name, percent in (relative or {}).items()
            ),
            smoke=SmokeRule(required=needs_smoke),
            minimum_samples=minimum_samples,
            **(more or {}),
        )

    return make
