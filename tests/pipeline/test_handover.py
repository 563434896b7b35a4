"""What the measuring half is told of a plan and a bundle: nothing lost, nothing turned round."""

from pathlib import Path

import msgspec
import pytest

from trt_nemotron.deploy.actual_memory import MemoryGap
from trt_nemotron.deploy.bundle.values import Manifest
from trt_nemotron.deploy.checkpoint.embedded import embedded_checkpoint_path
from trt_nemotron.deploy.machine import Machine
from trt_nemotron.deploy.observed import Observed
from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.planning import make_plan
from trt_nemotron.deploy.roofline import Roofline
from trt_nemotron.deploy.runtimes.protocol import Wishes
from trt_nemotron.measure.bench.client_health import ClientHealth
from trt_nemotron.measure.bench.environment import describe_environment
from trt_nemotron.measure.bench.values import Measurement, RequestRecord
from trt_nemotron.measure.bench.workload import find_profile
from trt_nemotron.pipeline.handover import (
    bundle_environment,
    physical_limits,
    plan_facts,
    roofline_ceilings,
    start_figures,
)

LAPTOP = Machine(architecture="x86_64", cores=2, memory_total_bytes=8 << 30)


@pytest.fixture(scope="module")
def plan() -> Plan:
    plan, _ = make_plan("cpu", "llamacpp", embedded_checkpoint_path(), Wishes(), LAPTOP)
    return plan


def test_a_report_shows_every_line_of_the_ledger(plan: Plan):
    facts = plan_facts(plan)
    shown = [(line.name, line.size_bytes, line.formula, line.status) for line in facts.memory]
    assert shown == [
        (line.name, line.size_bytes, line.formula, line.status) for line in plan.ledger.lines
    ]
    assert [line.name for line in facts.memory if line.is_reserve] == ["reserve"]
    assert facts.memory_total_bytes == 8 << 30


def test_a_report_shows_every_setting_with_its_reason(plan: Plan):
    settings = {line.name: line for line in plan_facts(plan).settings}
    assert settings.keys() == {choice.name for choice in plan.choices}
    assert all(line.reason for line in settings.values())
    threads = plan.int_choice("n_threads")
    assert settings["n_threads"].value == str(threads)
    assert plan_facts(plan).warnings == plan.warnings != ()


def test_a_report_names_what_was_planned(plan: Plan):
    facts = plan_facts(plan)
    assert (facts.target, facts.runtime, facts.release) == ("cpu", "llamacpp", plan.release)
    assert (facts.model, facts.precision) == (plan.checkpoint.name, plan.precision)
    assert facts.parameters == plan.checkpoint.parameters > 0


def test_a_measurement_keeps_what_was_served(tmp_path: Path):
    manifest = Manifest(
        name="a-bundle", tool_version="0", target="cpu", runtime="llamacpp", release="1.2",
        served_model_name="the-model", configuration_sha256="ab" * 32, model_path="model/m.gguf",
        files=(),
    )  # fmt: skip
    environment = bundle_environment(manifest)
    assert (environment.target, environment.runtime) == ("cpu", "llamacpp")
    assert (environment.release, environment.model) == ("1.2", "the-model")
    assert environment.configuration_sha256 == "ab" * 32
    assert environment.cores >= 1
    assert environment.processor
    fixed = (environment.power_mode, environment.image, environment.weights_sha256)
    assert fixed == ("none", "none", "none")


def test_a_measurement_keeps_image_weights_and_power_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    manifest = Manifest(
        name="a-bundle", tool_version="0", target="h100-sxm", runtime="trtllm", release="1.2",
        served_model_name="the-model", configuration_sha256="ab" * 32, model_path="model",
        files=(), image="nvcr.io/image@sha256:12", source_sha256="cd" * 32,
    )  # fmt: skip
    environment = bundle_environment(manifest)
    assert environment.image == "nvcr.io/image@sha256:12"
    assert environment.weights_sha256 == "cd" * 32
    assert environment.power_mode == "unknown"  # no driver here: relative bounds are no baseline


ROOFLINE = Roofline(
    bandwidth_gb_s=1000.0, weight_bytes=2_000_000_000, state_bytes=50_000_000, kv_token_bytes=16384
)
WORK = find_profile("quick")


def test_a_plan_without_a_roofline_bounds_nothing(plan: Plan):
    assert plan.roofline is None
    assert physical_limits(plan, WORK) == ()


def test_a_roofline_from_the_files_bounds_tpot_and_rate_at_each_concurrency(plan: Plan):
    limits = physical_limits(msgspec.structs.replace(plan, roofline=ROOFLINE), WORK)
    assert {(limit.metric, limit.concurrency) for limit in limits} == {
        (metric, many) for metric in ("tpot_p50_ms", "tokens_per_s") for many in WORK.concurrencies
    }
    best = {(limit.metric, limit.concurrency): limit.best for limit in limits}
    bytes_alone = 2_000_000_000 + 2 * 50_000_000 + WORK.input_tokens * 16384
    assert best["tpot_p50_ms", 4] == pytest.approx(bytes_alone / 1e9, abs=1e-3)
    shares = {(limit.metric, limit.concurrency): limit.usual_share for limit in limits}
    assert {place for place, share in shares.items() if share} == {("tpot_p50_ms", 1)}
    assert shares["tpot_p50_ms", 1] == pytest.approx(0.28)
    assert best["tokens_per_s", 4] > best["tokens_per_s", 1] > 1000 / best["tpot_p50_ms", 1] * 0.99


def test_a_roofline_from_published_facts_may_be_too_low_and_bounds_nothing(plan: Plan):
    roofline = msgspec.structs.replace(ROOFLINE, basis="facts")
    assert physical_limits(msgspec.structs.replace(plan, roofline=roofline), WORK) == ()


HEALTH = ClientHealth(clock="user_read", cpu_share=0.1, loop_lag_p99_ms=0.1, floor_ttft_p50_ms=0.1)


def leg_record(concurrency: int, tokens: int = 0) -> RequestRecord:
    return RequestRecord(
        index=concurrency, concurrency=concurrency, leg_input_tokens=tokens, is_warmup=False,
        outcome="ok", connect_ns=0, sent_ns=0, finished_ns=1, chunks=(),
    )  # fmt: skip


def measured(*records: RequestRecord) -> Measurement:
    return Measurement(
        url="http://127.0.0.1:1", started_at="2026-11-23T12:00:00Z", workload=WORK,
        environment=describe_environment(), client=HEALTH,
        records=records,
    )  # fmt: skip


def test_every_leg_that_was_measured_has_its_ceiling(plan: Plan):
    with_roofline = msgspec.structs.replace(plan, roofline=ROOFLINE)
    legs = [leg_record(1), leg_record(1), leg_record(8), leg_record(8, tokens=65536)]
    ceilings = roofline_ceilings(with_roofline, measured(*legs))
    assert [(each.concurrency, each.input_tokens) for each in ceilings] == [
        (1, 0), (8, 0), (8, 65536),
    ]  # fmt: skip
    most = [each.most_tokens_s for each in ceilings]
    assert most[0] < most[1]
    assert most[2] < most[1], "a longer context moves more bytes in each step"
    bytes_of_one = 2_000_000_000 + 50_000_000 + WORK.input_tokens * 16384
    assert most[0] == pytest.approx(1e12 / bytes_of_one, rel=0.05)
    assert "65536 tokens" in ceilings[2].source


def test_a_ceiling_is_no_less_than_the_limit_that_voids_a_run(plan: Plan):
    with_roofline = msgspec.structs.replace(plan, roofline=ROOFLINE)
    ceilings = roofline_ceilings(with_roofline, measured(*map(leg_record, WORK.concurrencies)))
    limits = {
        limit.concurrency: limit.best
        for limit in physical_limits(with_roofline, WORK)
        if limit.metric == "tokens_per_s"
    }
    assert {each.concurrency: each.most_tokens_s for each in ceilings} == limits


@pytest.mark.parametrize("roofline", [None, msgspec.structs.replace(ROOFLINE, basis="facts")])
def test_without_a_roofline_from_the_files_there_is_no_ceiling(
    plan: Plan, roofline: Roofline | None
):
    without = msgspec.structs.replace(plan, roofline=roofline)
    assert roofline_ceilings(without, measured(leg_record(1))) == ()


def observed(plan: Plan, ready_s: float | None, **gaps: float) -> Observed:
    """A start; parts whose name ends in `_estimated` the plan does not claim to know."""
    return Observed(
        target="cpu", runtime="llamacpp", release="1", image="", shape=plan.checkpoint.shape,
        configuration_sha256="cd" * 32, tool_version="0", observed_at="now", ready_s=ready_s,
        memory=tuple(
            MemoryGap(
                name=name, planned_bytes=1, reported_bytes=1, resolution_bytes=1, gap=gap,
                is_exact=not name.endswith("_estimated"),
            )
            for name, gap in gaps.items()
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("gaps", "worst"),
    [
        ({"weights": 0.01, "kv_cache": -0.03, "ssm_state": 0.02}, 0.03),
        ({"weights": 0.0, "workspace_estimated": 0.9}, 0.0),
        ({"weights": 0.05, "kv_cache": -0.01}, 0.05),
    ],
)
def test_of_the_memory_the_worst_part_counts_that_the_plan_knows(plan: Plan, gaps, worst: float):
    figures = start_figures(observed(plan, 12.5, **gaps))
    assert figures.memory_gap_share == worst
    assert figures.startup_s == 12.5
    assert figures.configuration_sha256 == "cd" * 32
    assert figures.why_none == ""


def test_what_a_start_did_not_show_has_a_reason_each(plan: Plan):
    neither = start_figures(observed(plan, None, workspace_estimated=0.1))
    assert (neither.startup_s, neither.memory_gap_share) == (None, None)
    assert neither.why_none == (
        "its log says nothing of memory that the plan knows exactly; it was not timed"
    )
    untimed = start_figures(observed(plan, None, weights=0.0))
    assert untimed.why_none == "it was not timed"
    assert untimed.memory_gap_share == 0.0
