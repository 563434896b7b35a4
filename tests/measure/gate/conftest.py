import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trt_nemotron.measure.bench.figures.binomial import chance_of_at_most
from trt_nemotron.measure.gate.budget import AbsoluteBound, Budget, RelativeBound
from trt_nemotron.measure.gate.demands import SmokeRule

MakeBudget = Callable[..., Budget]

MUTATION = Path(__file__).with_name("mutation.py")
SURVIVING_SHARE = 0.05


def try_mutants(every: int, first: int) -> tuple[int, list[str], float]:
    """Of a sample: how many were tried, which survived, and how likely so many are if one in twenty
    of all survives. A sample of twenty cannot show more; `python mutation.py` tries all.
    """
    ran = subprocess.run(
        # That the tests pass by themselves is what the run shows of which this is a part.
        [sys.executable, str(MUTATION), f"--every={every}", f"--first={first}", "--tests-pass"],
        capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    fewer = len(report["survived"]) - 1
    chance = 1.0 - chance_of_at_most(fewer, report["tried"], SURVIVING_SHARE)
    return report["tried"], report["survived"], chance


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
