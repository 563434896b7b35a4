"""Plans of published checkpoints on every board."""

from collections.abc import Callable
from functools import cache

import pytest

from trt_nemotron.deploy.checkpoint.known_model import known_checkpoint
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.deploy.runtimes.trtllm.plan import plan
from trt_nemotron.deploy.runtimes.trtllm.situation import Situation
from trt_nemotron.facts.catalogue import load_release, load_target

MakePlan = Callable[..., Plan]
target_named = cache(load_target)
release_named = cache(load_release)


@cache
def published(form: str) -> Checkpoint:
    found = known_checkpoint(f"nemotron-3-nano-4b-{form}")
    assert found is not None
    return found


@pytest.fixture(scope="session")
def checkpoint() -> Callable[[str], Checkpoint]:
    """`checkpoint("fp8")`: the published one of that form, known from facts."""
    return published


@pytest.fixture(scope="session")
def make_plan() -> MakePlan:
    """`make_plan(target, form, release, **wishes)`."""

    def make(
        target: str = "h100-sxm", form: str = "bf16", release: str = "1.3.0rc6", **wishes: object
    ) -> Plan:
        return plan(
            target_named(target),
            published(form),
            Wishes(**wishes),  # type: ignore[arg-type]
            release_named("trtllm", release),
        )

    return make


@pytest.fixture(scope="session")
def situation() -> Callable[..., Situation]:
    """`situation(target, form, release, kv_dtype=..., state_dtype=...)`."""

    def make(
        target: str = "h100-sxm",
        form: str = "bf16",
        release: str = "1.3.0rc6",
        kv_dtype: str = "auto",
        state_dtype: str = "float32",
    ) -> Situation:
        return Situation(
            target=target_named(target),
            checkpoint=published(form),
            release=release_named("trtllm", release),
            kv_dtype=kv_dtype,
            state_dtype=state_dtype,
        )

    return make
