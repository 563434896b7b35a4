from collections.abc import Mapping
from functools import cache
from pathlib import Path

import msgspec
import pytest

from trt_nemotron.deploy.actual_facts import compare_facts
from trt_nemotron.deploy.checkpoint.known_model import known_checkpoint
from trt_nemotron.deploy.plan import Choice, ChoiceValue, Plan
from trt_nemotron.deploy.runtimes.protocol import ReportedFact, Wishes
from trt_nemotron.deploy.runtimes.trtllm.log import reported_facts
from trt_nemotron.deploy.runtimes.trtllm.plan import plan as make_plan
from trt_nemotron.facts.catalogue import load_release, load_target

LOGS = Path(__file__).parent / "runtimes" / "trtllm" / "start_logs"
AS_PLANNED = {
    "max_batch_requests": 8,
    "max_seq_len_tokens": 32768,
    "kv_cache_tokens": 262176,
    "kv_token_bytes": 16384,
    "ssm_state_slots": 9,
    "cuda_graphs": 8,
    "largest_graph_requests": 8,
}


@cache
def plan(target: str, release: str, form: str = "bf16") -> Plan:
    checkpoint = known_checkpoint(f"nemotron-3-nano-4b-{form}")
    assert checkpoint is not None
    return make_plan(load_target(target), checkpoint, Wishes(), load_release("trtllm", release))


def having(planned: Plan, settings: Mapping[str, ChoiceValue]) -> Plan:
    """The plan with other settings; one that is `...` is left out."""
    kept = [it for it in planned.choices if it.name not in settings]
    new = [
        Choice(name=name, value=value, reason="", source="")
        for name, value in settings.items()
        if value is not ...
    ]
    return msgspec.structs.replace(planned, choices=(*kept, *new))


def warnings(planned: Plan, **said: float) -> dict[str, str]:
    facts = [ReportedFact(name=name, value=value, line="") for name, value in said.items()]
    return {gap.name: gap.warning for gap in compare_facts(planned, facts) if gap.warning}


def spark_warnings(**changes: float) -> dict[str, str]:
    return warnings(plan("spark", "1.3.0rc14"), **{**AS_PLANNED, **changes})


def test_a_start_as_planned_warns_of_nothing():
    gaps = compare_facts(
        plan("spark", "1.3.0rc14"),
        [ReportedFact(name=name, value=value, line="") for name, value in AS_PLANNED.items()],
    )
    assert [gap.name for gap in gaps] == list(AS_PLANNED)
    assert not any(gap.warning for gap in gaps)


@pytest.mark.parametrize(
    ("log", "target", "release"),
    [("h100-1.3.0rc3", "h100-sxm", "1.3.0rc3"), ("spark-1.3.0rc14", "spark", "1.3.0rc14")],
)
def test_logs_assembled_from_a_plan_agree_with_it(log: str, target: str, release: str):
    facts = reported_facts((LOGS / f"{log}.log").read_text(encoding="utf-8"))
    gaps = compare_facts(plan(target, release), facts)
    assert {gap.name for gap in gaps} == set(AS_PLANNED)
    assert not any(gap.warning for gap in gaps)


def test_a_log_of_a_start_that_came_out_smaller_is_told_from_its_plan():
    facts = reported_facts((LOGS / "two-ranks-1.4.0rc1.log").read_text(encoding="utf-8"))
    gaps = compare_facts(plan("h100-sxm", "1.4.0rc1"), facts)
    assert {gap.name for gap in gaps if gap.warning} == {"max_seq_len_tokens", "cuda_graphs"}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("kv_cache_tokens", 131072, "131,072 tokens, 262,144 were planned"),
        ("kv_token_bytes", 8192, "8,192 bytes, 16,384 were planned"),
        ("ssm_state_slots", 7, "7 recurrent-state slots for 8 requests"),
        ("cuda_graphs", 3, "3 of 8 planned CUDA graphs"),
        ("cuda_graphs", 34, "34 CUDA graphs were captured, 8 were planned"),
        ("largest_graph_requests", 4, "for 4 requests, 8 were planned"),
        ("max_seq_len_tokens", 8224, "to 8,224 tokens of 32,768"),
        ("max_batch_requests", 4, "4 requests at once, 8 were planned"),
    ],
)
def test_less_than_planned_is_said_in_words(name: str, value: int, words: str):
    found = spark_warnings(**{name: value})
    assert set(found) == {name}
    assert words in found[name]


@pytest.mark.parametrize(
    "name", ["kv_cache_tokens", "ssm_state_slots", "max_seq_len_tokens", "largest_graph_requests"]
)
def test_more_than_planned_harms_nothing(name: str):
    assert spark_warnings(**{name: AS_PLANNED[name] + 1000}) == {}


def test_a_pool_that_was_planned_smaller_than_all_sequences_is_held_to_nothing():
    tight = plan("spark", "1.3.0rc14")
    lines = tuple(
        msgspec.structs.replace(it, size_bytes=it.size_bytes // 3) if it.name == "kv_cache" else it
        for it in tight.ledger.lines
    )
    tight = msgspec.structs.replace(
        tight, ledger=msgspec.structs.replace(tight.ledger, lines=lines)
    )
    assert warnings(tight, kv_cache_tokens=1, kv_token_bytes=1) == {}


def test_an_eight_bit_cache_is_known_by_the_ledger():
    fp8 = plan("spark", "1.3.0rc14", "fp8")
    assert set(warnings(fp8, kv_token_bytes=16384)) == {"kv_token_bytes"}
    assert warnings(fp8, kv_token_bytes=8192) == {}


@pytest.mark.parametrize(
    ("settings", "planned_graphs"),
    [
        ({"cuda_graph_config.max_batch_size": ..., "cuda_graph_config": None}, 0),
        ({"cuda_graph_config.batch_sizes": (1, 2, 8)}, 3),
        ({"cuda_graph_config.enable_padding": True}, 4),
    ],
)
def test_graphs_are_counted_as_the_plan_says(
    settings: Mapping[str, ChoiceValue], planned_graphs: int
):
    planned = having(plan("spark", "1.3.0rc14"), settings)
    (gap,) = compare_facts(planned, [ReportedFact(name="cuda_graphs", value=5, line="")])
    assert gap.planned == planned_graphs


def test_a_plan_of_another_runtime_has_nothing_to_compare():
    other = msgspec.structs.replace(plan("spark", "1.3.0rc14"), choices=())
    assert compare_facts(other, [ReportedFact(name="kv_cache_tokens", value=1, line="")]) == ()
