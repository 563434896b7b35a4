"""The table of a measurement: every figure in its own column, every fault said."""

import io

import msgspec
import pytest
from rich.console import Console

from trt_nemotron.cli.bench_table import NONE, format_ms, render_bench
from trt_nemotron.measure.bench.client_health import ClientHealth
from trt_nemotron.measure.bench.figures.summary import (
    Distribution,
    LegSummary,
    Slo,
    Summary,
)
from trt_nemotron.measure.bench.values import Environment, Measurement, Workload

MEASUREMENT = Measurement(
    url="http://127.0.0.1:1",
    started_at="2026-11-23T12:00:00Z",
    workload=Workload(
        concurrencies=(2,), requests_per_concurrency=9, warmup_requests=0, input_tokens=8,
        output_tokens=4, seed=1, timeout_s=9.0,
    ),
    environment=Environment(
        target="cpu", runtime="llamacpp", release="1", model="m", configuration_sha256="ab",
        client_version="1", python="3", system="s", processor="p", cores=2,
    ),
    client=ClientHealth(
        clock="user_read", cpu_share=0.1, loop_lag_p99_ms=0.1, floor_ttft_p50_ms=0.1
    ),
    records=(),
)  # fmt: skip


def distribution(base: float) -> Distribution:
    """Figures that tell where they come from: the base, and 1, 2, ... more."""
    return Distribution(
        samples=7, p50=base, p50_low=base + 1, p50_high=base + 2, p95=base + 3, p99=base + 4,
        maximum=base + 5,
    )  # fmt: skip


LEVEL = LegSummary(
    concurrency=2, requests=9, good=7, outcomes={"ok": 7, "timeout": 2}, duration_s=1.0,
    ttft_ms=distribution(110), ttfa_ms=distribution(120), tpot_ms=distribution(130),
    itl_ms=distribution(140), e2e_ms=distribution(150), tokens_per_s=1234.0,
    tokens_per_s_per_user=77.0, goodput_rps=3.25, error_share=2 / 9, tokens_per_chunk=1.0,
    shared_stamp_share=0.0, prompt_tokens=8.0,
)  # fmt: skip


def shown(**changes: object) -> list[list[str]]:
    """The words of each line."""
    summary = Summary(clock="user_read", confidence=0.99, concurrencies=(LEVEL,))
    file = io.StringIO()
    view = render_bench(MEASUREMENT, msgspec.structs.replace(summary, **changes))
    Console(file=file, width=140, no_color=True).print(view)
    return [line.split() for line in file.getvalue().splitlines()]


def test_each_latency_has_its_own_row_and_each_percentile_its_own_column():
    rows = {words[-7]: words[-6:] for words in shown() if len(words) >= 7}
    for name, base in (("TTFT", 110), ("TTFA", 120), ("TPOT", 130), ("ITL", 140), ("E2E", 150)):
        between = f"{base + 1}…{base + 2}"
        expected = [str(base), between, str(base + 3), str(base + 4), str(base + 5), "7"]
        assert rows[name] == expected


def test_time_to_first_answer_is_left_out_where_it_is_that_to_the_first_token():
    level = msgspec.structs.replace(LEVEL, ttfa_ms=LEVEL.ttft_ms)
    assert not [words for words in shown(concurrencies=(level,)) if "TTFA" in words]


def test_percentile_that_is_refused_says_how_many_samples_it_needs():
    level = msgspec.structs.replace(LEVEL, tpot_ms=Distribution(samples=7, p50=1.0))
    (row,) = (words for words in shown(concurrencies=(level,)) if "TPOT" in words)
    assert " ".join(row) == f"TPOT 1.00 {NONE} {NONE} needs 90 {NONE} needs 459 {NONE} 7"


def test_load_shows_what_failed_and_how():
    assert ["2", "1,234", "77", "8", "7", "of", "9", "2", "timeout"] in shown()


def test_goodput_is_a_column_only_when_it_was_asked_for():
    assert not [words for words in shown() if "goodput/s" in words]
    lines = shown(slo=Slo(ttft_ms=1.0))
    assert ["2", "1,234", "77", "3.25", "8", "7", "of", "9", "2", "timeout"] in lines


def test_fault_that_has_a_direction_is_told_apart_from_one_that_has_none():
    lines = shown(invalid_reasons=("too busy", "too few"), lateness_reasons=("too busy",))
    text = [" ".join(words) for words in lines]
    assert any(line.startswith("late: too busy; latencies are at most these") for line in text)
    assert "not valid: too few" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.3312, "0.331"), (1.2345, "1.23"), (13.04, "13.0"), (1234.4, "1234"), (-12.0, "-12.0")],
)
def test_milliseconds_have_three_figures_and_no_exponent(value: float, text: str):
    assert format_ms(value) == text
