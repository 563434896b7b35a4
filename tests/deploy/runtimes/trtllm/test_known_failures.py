"""Each way to fail that we explain, against a line of its kind from public sources."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from trt_nemotron.deploy.serving.log import explain
from trt_nemotron.facts.catalogue import load_release, release_names
from trt_nemotron.facts.release import KnownFailure

HERE = Path(__file__).parent
TREE: dict[str, list[dict[str, Any]]] = yaml.safe_load(
    (HERE / "start_log_lines.yaml").read_text(encoding="utf-8")
)
FAILURES = {line["id"]: line for line in TREE["failures"]}
NEWEST = "1.4.0rc1"

CAUSES = {
    "unknown_key": "a key that this release does not know",
    "graph_sizes_conflict": "both given",
    "graph_sizes_disagree": "disagree",
    "invalid_value": "a value that this release refuses",
    "unknown_flag": "A flag",
    "port_taken": "port is taken",
    "no_gpu": "sees no GPU",
    "driver_too_old": "driver is older",
    "unknown_architecture": "does not know the architecture",
    "no_weights": "no weights",
    "truncated_weights": "damaged or cut short",
    "hub_offline": "may not be fetched",
    "hub_no_name": "folder is not there",
    "load_out_of_memory": "while the weights were loaded",
    "no_room_for_model": "while the weights were loaded",
    "no_room_for_trial": "tried how much a step takes",
    "no_room_for_cache": "KV cache and states did not fit",
    "no_room_for_graphs": "CUDA graphs captured",
    "no_room": "memory ran out",
    "cuda_out_of_memory": "memory ran out",
    "no_sequence_fits": "a single block of KV cache",
    "quota_missing": "neither tokens nor bytes",
    "states_run_out": "More requests were under way",
    "padding_states_run_out": "larger than the recurrent-state pool",
    "state_pool_too_small": "too few recurrent-state slots",
    "reuse_with_states": "Block reuse is on",
    "no_mtp": "MTP was asked for",
    "tensor_parallel": "spread over that many GPUs",
    "no_kernel": "no kernels for this board",
    "ptxas": "assembler",
    "memlock": "lock too little memory",
    "small_shm": "shared memory is too small",
    "bus_error": "A page of memory",
    "mpi_inherited": "MPI launcher",
    "worker_died": "process that holds the model has ended",
    "worker_error": "process that holds the model has ended",
}


@cache
def failures(release: str = NEWEST) -> tuple[KnownFailure, ...]:
    return load_release("trtllm", release).known_failures


def cause(folder: Path, *lines: str) -> str:
    log = folder / "server.log"
    log.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = explain(log, failures())
    return found.cause if found else ""


def test_every_failure_of_the_list_is_explained():
    assert set(CAUSES) == set(FAILURES)


@pytest.mark.parametrize("name", CAUSES)
def test_a_line_of_its_kind_names_the_cause(tmp_path: Path, name: str):
    assert CAUSES[name] in cause(tmp_path, FAILURES[name]["example"])


@pytest.mark.parametrize("name", [it for it in CAUSES if not it.startswith("worker_")])
def test_the_cause_is_named_though_the_worker_s_end_follows_it(tmp_path: Path, name: str):
    """The real cause stands in a traceback; the last words of the log are always the same."""
    lines = (FAILURES[name]["example"], FAILURES["worker_error"]["example"])
    assert CAUSES[name] in cause(tmp_path, "Traceback (most recent call last):", *lines)


@pytest.mark.parametrize("component", ["no_room_for_trial", "no_room_for_cache"])
def test_of_an_explained_lack_of_memory_the_component_counts(tmp_path: Path, component: str):
    """Components created before stand in the same message, by other names."""
    lines = (
        FAILURES["no_room"]["example"],
        FAILURES[component]["example"],
        "Previously created components and free GPU memory before/after creation (GiB):",
        "model: 79.18 / 70.10",
        "  _no_capture_init_kv_cache: reduce max_num_tokens",
    )
    assert CAUSES[component] in cause(tmp_path, *lines)


@pytest.mark.parametrize("path", sorted((HERE / "start_logs").iterdir()), ids=lambda it: it.stem)
def test_nothing_is_found_in_a_log_of_a_good_start(path: Path):
    assert explain(path, failures()) is None


@pytest.mark.parametrize("line", TREE["lines"], ids=lambda it: it["id"])
def test_no_line_of_a_good_start_is_taken_for_a_failure(tmp_path: Path, line: dict[str, Any]):
    assert cause(tmp_path, line["example"]) == ""


@pytest.mark.parametrize("release", release_names("trtllm"))
def test_every_release_explains_what_all_have_in_common(release: str):
    known = {it.pattern for it in failures(release)}
    assert known >= {it.pattern for it in failures("1.3.0rc3")}


def test_what_only_a_new_release_says_is_explained_before_what_all_say():
    patterns = [it.pattern for it in failures(NEWEST)]
    own = next(it for it in patterns if "V2 Mamba" in it)
    common = next(it for it in patterns if "Executor worker" in it)
    assert patterns.index(own) < patterns.index(common)
    assert own not in {it.pattern for it in failures("1.3.0rc3")}


def test_every_pattern_has_a_line_that_it_explains():
    lines = [line["example"] for line in FAILURES.values()]
    for failure in failures():
        assert any(re.search(failure.pattern, line) for line in lines), failure.pattern


@pytest.mark.parametrize("line", FAILURES.values(), ids=list(FAILURES))
def test_every_failure_has_a_source(line: dict[str, Any]):
    assert line["status"] in {"read", "reported"}
    assert re.match(r"rc3 |https://|main@|printed by ", line["source"])
