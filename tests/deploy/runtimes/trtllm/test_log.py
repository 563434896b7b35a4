import re
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.deploy.phase_times import phase_times
from trt_nemotron.deploy.runtimes.trtllm.log import (
    PHASES,
    READY_PATTERN,
    reported_buffers,
    reported_facts,
)

HERE = Path(__file__).parent
GIB = 1 << 30
HALF_DIGIT = round(0.005 * GIB)
LINES: dict[str, dict[str, Any]] = {
    line["id"]: line
    for line in yaml.safe_load((HERE / "start_log_lines.yaml").read_text(encoding="utf-8"))["lines"]
}
LOGS = {path.stem: path.read_text(encoding="utf-8") for path in (HERE / "start_logs").iterdir()}


def facts(log: str) -> dict[str, float]:
    return {fact.name: fact.value for fact in reported_facts(log)}


def say(name: str, **figures: object) -> str:
    return str(LINES[name]["template"]).format(**figures) + "\n"


def phase_names(log: str) -> list[str]:
    return [phase.name for phase in phase_times(log, PHASES)]


def near(size_gib: float) -> object:
    return pytest.approx(size_gib * GIB, abs=HALF_DIGIT)


def as_pattern(template: str) -> str:
    parts = (
        re.escape(text) + (".*" if field is not None else "")
        for text, field, _, _ in Formatter().parse(template)
    )
    return "".join(parts) + "$"


@pytest.mark.parametrize("line", LINES.values(), ids=list(LINES))
def test_every_line_has_a_source_and_an_example_that_its_template_makes(line: dict[str, Any]):
    assert line["status"] in {"read", "reported"}
    assert re.match(r"rc3 |gb10-log|https://|main@|printed by ", line["source"])
    assert line["seen"]
    assert re.search(as_pattern(line["template"]), line["example"])


def test_states_and_cache_of_the_python_manager():
    found = facts(LOGS["h100-1.3.0rc3"])
    assert found["weights_bytes"] == near(7.40)
    assert (found["kv_cache_tokens"], found["ssm_state_slots"]) == (1323552, 32)
    assert found["kv_cache_bytes"] == pytest.approx(1323552 * 16384, abs=HALF_DIGIT)
    assert found["kv_token_bytes"] == 16384
    assert found["ssm_state_bytes"] == pytest.approx(32 * 21 * 96 * 80 * 128 * 4, abs=HALF_DIGIT)
    assert found["conv_state_bytes"] == pytest.approx(32 * 21 * 9728 * 3 * 2, abs=HALF_DIGIT)
    assert (found["cuda_graphs"], found["largest_graph_requests"]) == (7, 32)
    assert found["activation_bytes"] == near(1.18)
    assert (found["outside_torch_bytes"], found["peak_bytes"]) == (near(1.87), near(13.07))


def test_figures_of_a_published_start_on_a_dgx_spark():
    found = facts(LOGS["gb10-1.1.0rc3"])
    assert found["device_total_bytes"] == near(119.70)
    assert (found["kv_cache_tokens"], found["max_seq_len_tokens"]) == (86720, 86720)
    assert (found["cuda_graphs"], found["autotuner_entries"]) == (11, 28)
    assert found["model_init_seconds"] == 49.14
    assert found["kv_cache_bytes"] == near(5.95)
    assert found["kv_cache_tokens"] * found["kv_token_bytes"] == near(5.95)
    assert "ssm_state_slots" not in found


def test_states_that_share_the_pool_are_told_from_it():
    found = facts(LOGS["spark-1.3.0rc14"])
    assert (found["kv_cache_tokens"], found["ssm_state_slots"]) == (262176, 9)
    assert "kv_cache_bytes" not in found
    assert found["cache_pool_bytes"] == near(4.70)
    assert {it.name for it in reported_buffers(LOGS["spark-1.3.0rc14"])} == {"weights"}


def test_the_first_rank_speaks_for_all_and_colours_do_not_matter():
    found = facts(LOGS["two-ranks-1.4.0rc1"])
    assert (found["weights_bytes"], found["autotuner_entries"]) == (near(7.40), 31)
    assert found["cache_quota_bytes"] == 18.25 * GIB
    assert (found["announced_graphs"], found["cuda_graphs"]) == (7, 3)
    assert found["max_seq_len_tokens"] == 24576


def test_buffers_are_known_to_half_of_the_last_digit():
    buffers = {it.name: it for it in reported_buffers(LOGS["h100-1.3.0rc3"])}
    assert set(buffers) == {"weights", "kv_cache", "ssm_state", "conv_state"}
    assert {it.resolution_bytes for it in buffers.values()} == {HALF_DIGIT}


@pytest.mark.parametrize("log", LOGS.values(), ids=list(LOGS))
def test_every_fact_shows_its_line(log: str):
    for fact in reported_facts(log):
        assert fact.line
        assert fact.line in re.sub(r"\x1b\[[0-9;]*m", "", log)


def test_the_last_executor_counts_not_the_one_that_measured():
    trial, real = say("kv_cache", gib=0.5, tokens=32768), say("kv_cache", gib=4, tokens=262144)
    assert facts(trial + real)["kv_cache_tokens"] == 262144
    graphs = say("graphs", sizes=2) + say("graph", size=2, draft_len=0, max_seq_len=9)
    assert facts(graphs + graphs)["cuda_graphs"] == 1


def test_windows_of_one_pool_are_not_counted_to_the_next():
    sizes = {"blocks": 9, "tokens_per_block": 32, "secondary": 0, "max_seq_len": 288}
    windows = say("blocks_per_sequence", window=288, primary=10, **sizes)
    windows += say("blocks_per_sequence", window=-1, primary=4, **sizes)
    shared, own = say("kv_cache", gib=2, tokens=448), say("kv_cache", gib=1, tokens=640)
    assert facts(windows + shared)["kv_cache_tokens"] == 320
    found = facts(windows + shared + own)
    assert (found["kv_cache_tokens"], found["kv_cache_bytes"]) == (640, GIB)
    assert "cache_pool_bytes" not in found


def test_what_an_earlier_start_said_is_forgotten():
    log = say("mamba_cache", slots=99, conv_gib=1, ssm_gib=1) + say("backend")
    assert facts(log + say("weights", gib=1.5)) == {"weights_bytes": near(1.5)}


def test_an_unfinished_line_is_not_read():
    whole = say("sizes", max_seq_len=32768, requests=32, step_tokens=8192, batch=32)
    assert facts(whole)["max_batch_requests"] == 32
    assert facts(whole[:-2]) == {}


def test_a_progress_bar_before_a_line_does_not_hide_it():
    assert "weights_bytes" in facts("Loading: 50%|###  | 1/2\r" + say("weights", gib=7.4))


@given(st.lists(st.sampled_from([*LOGS["two-ranks-1.4.0rc1"].splitlines(), "\x1b[", "\r"])))
def test_lines_in_any_order_are_read_without_fault(lines: list[str]):
    log = "\n".join(lines)
    assert {it.name for it in reported_buffers(log)} <= {"weights", "ssm_state", "conv_state"}
    phase_times(log, PHASES)


@given(st.data())
def test_damaged_lines_never_bring_a_figure_that_was_not_there(data: st.DataObject):
    """Cut anywhere and joined again, a log tells nothing but what some whole log could."""
    log = LOGS["h100-1.3.0rc3"]
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(log))] * 2)))
    known = facts(log) | {"kv_cache_bytes": 0, "kv_cache_tokens": 0}
    for fact in reported_facts(log[:start] + log[end:]):
        assert fact.name in known
        assert 0 <= fact.value < 1e12


@given(st.text(max_size=400))
def test_garbage_is_read_without_fault(text: str):
    marks = "".join(line["example"] + text + "\n" for line in LINES.values())
    for fact in (*reported_facts(text), *reported_facts(marks)):
        assert fact.value == fact.value
        assert fact.value < 1e30


@pytest.mark.parametrize("number", ["9" * 400, "1e999", "-5", "1.2.3", "nan", "٣"])
def test_numbers_that_cannot_be_are_not_taken(number: str):
    found = facts(say("weights", gib=1.0).replace("1.00", number))
    assert found.get("weights_bytes", 0) < 1e18


def test_phases_go_forward_and_the_trial_is_told_from_the_real_one():
    assert phase_names(LOGS["h100-1.3.0rc3"]) == [
        "loading weights",
        "estimating the KV cache",
        "estimating the KV cache: autotuning",
        "estimating the KV cache: capturing CUDA graphs",
        "allocating the cache",
        "autotuning",
        "capturing CUDA graphs",
        "starting to listen",
    ]


def test_phases_of_a_start_without_autotuner_and_graphs():
    lines = ("weights", "sampler", "estimated", "uvicorn_process")
    log = "\n".join(str(LINES[name]["example"]) for name in lines)
    assert phase_names(log) == [
        "loading weights",
        "estimating the KV cache",
        "allocating the cache",
        "starting to listen",
    ]


@pytest.mark.parametrize("name", ["uvicorn_complete", "uvicorn_running"])
def test_ready_is_said_by_either_word_of_uvicorn(name: str):
    assert re.search(READY_PATTERN, LINES[name]["example"])


def test_nothing_but_uvicorn_says_ready():
    for name, line in LINES.items():
        is_word = name in {"uvicorn_complete", "uvicorn_running"}
        assert bool(re.search(READY_PATTERN, line["example"])) is is_word, name


def test_every_fact_is_in_the_documentation():
    page = (HERE.parents[3] / "docs" / "observed.md").read_text(encoding="utf-8")
    names = {fact.name for log in LOGS.values() for fact in reported_facts(log)}
    assert {name for name in names if f"`{name}`" not in page} == set()
