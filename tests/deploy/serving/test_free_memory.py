"""Free memory before a start, on boards where device and host share it."""

from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from tests.deploy.small_shape import SMALL_SHAPE
from trt_nemotron.deploy.plan import Ledger, LedgerLine, Plan, PlannedCheckpoint
from trt_nemotron.deploy.serving.free_memory import check_free_memory
from trt_nemotron.errors import EnvironmentUnfit
from trt_nemotron.facts.catalogue import load_target

GIB = 2**30


@dataclass
class Memory:
    total: int
    available: int


def line(name: str, size_gib: int) -> LedgerLine:
    return LedgerLine(name=name, size_bytes=size_gib * GIB, formula="", status="exact")


PLAN = Plan(
    target="spark", runtime="trtllm", release="1.3.0rc14", precision="bf16", served_model_name="m",
    choices=(),
    ledger=Ledger(
        lines=(line("weights", 8), line("kv_cache", 12), line("reserve", 8)),
        memory_total_bytes=120 * GIB,
    ),
    checkpoint=PlannedCheckpoint(
        name="m", format="safetensors", quantization="BF16", parameters=1, weight_bytes=2,
        shape=SMALL_SHAPE,
    ),
)  # fmt: skip


def test_what_the_plan_takes_but_for_the_reserve_has_to_be_free():
    spark = load_target("spark")
    check_free_memory(PLAN, spark, Memory(120 * GIB, 20 * GIB))
    with pytest.raises(EnvironmentUnfit, match="not enough free memory") as caught:
        check_free_memory(PLAN, spark, Memory(120 * GIB, 20 * GIB - 1))
    assert "the plan takes 20.00 GiB, 20.00 GiB of 120.00 GiB" in caught.value.evidence


@pytest.mark.parametrize("target", ["h100-sxm", "cpu"])
def test_a_memory_of_its_own_is_not_looked_at(target: str):
    plan = replace(PLAN, target=target)
    check_free_memory(plan, load_target(target), Memory(120 * GIB, 0))


def test_the_board_is_known_by_nine_tenths_of_its_memory():
    """What the system keeps of a board's memory is not shown; a smaller machine is another one."""
    spark, few = load_target("spark"), 1 * GIB
    check_free_memory(PLAN, spark, Memory(107 * GIB, few))
    with pytest.raises(EnvironmentUnfit, match="not enough free memory"):
        check_free_memory(PLAN, spark, Memory(108 * GIB, few))


def test_a_machine_that_is_not_the_board_is_not_judged_by_its_plan():
    check_free_memory(PLAN, load_target("spark"), Memory(24 * GIB, 1 * GIB))
