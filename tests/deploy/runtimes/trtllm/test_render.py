from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from trt_nemotron.deploy.plan import Plan
from trt_nemotron.deploy.runtimes.trtllm.files import environment_text, server_file_text
from trt_nemotron.deploy.runtimes.trtllm.render import (
    environment,
    flag_words,
    server_arguments,
    server_file,
)
from trt_nemotron.deploy.runtimes.trtllm.settings import is_flag, is_key, is_variable

MakePlan = Callable[..., Plan]


def flat(tree: dict[str, object], prefix: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def test_file_holds_every_key_of_the_plan_and_nothing_else(make_plan: MakePlan):
    made = make_plan(settings=("cuda_graph_config.batch_sizes=[1, 8]",), max_concurrency=8)
    read = flat(yaml.safe_load(server_file(made)))
    planned = {it.name: it.value for it in made.choices if is_key(it.name)}
    assert read == {
        name: list(value) if isinstance(value, tuple) else value for name, value in planned.items()
    }


def test_command_line_holds_what_the_file_cannot(make_plan: MakePlan):
    made = make_plan(release="1.3.0rc18", served_model_name="mine")
    arguments = server_arguments(made, model="/m", config="/c", port=8123)
    assert arguments[:8] == (
        "trtllm-serve", "/m", "--host", "127.0.0.1", "--port", "8123",
        "--extra_llm_api_options", "/c",
    )  # fmt: skip
    assert arguments[8:] == (
        "--tool_parser", "qwen3_coder", "--served_model_name", "mine", "--no-telemetry"
    )  # fmt: skip


@pytest.mark.parametrize("name", ["a'b", 'a"b', "a b"])
def test_a_name_that_a_shell_would_read_otherwise_is_one_word(make_plan: MakePlan, name: str):
    made = make_plan(release="1.3.0rc18", served_model_name=name)
    assert name in server_arguments(made, model="/m", config="/c", port=8123)


def test_environment_has_the_folder_of_compiled_artefacts_put_in(make_plan: MakePlan):
    made = make_plan()
    variables = environment(made, "/var/cache/x")
    assert variables["TRITON_CACHE_DIR"] == "/var/cache/x/triton"
    assert variables["TLLM_AUTOTUNER_CACHE_PATH"] == "/var/cache/x/autotuner.json"
    assert variables["HF_HUB_OFFLINE"] == "1"
    places = [value for value in variables.values() if value.startswith("/")]
    assert len(places) == len(set(places)) == 8


def test_unified_memory_gets_an_allocator_that_returns_it(make_plan: MakePlan):
    assert "PYTORCH_ALLOC_CONF" not in environment(make_plan(), "/c")
    spark = environment(make_plan("spark", release="1.3.0rc14"), "/c")
    assert spark["PYTORCH_ALLOC_CONF"] == "expandable_segments:True"
    assert spark["TRTLLM_NO_USAGE_STATS"] == "1"


def test_each_kind_of_name_stands_in_one_place(make_plan: MakePlan):
    for choice in make_plan("spark", release="1.3.0rc14").choices:
        assert is_flag(choice.name) + is_variable(choice.name) + is_key(choice.name) == 1


def test_switches_are_words_of_their_own(make_plan: MakePlan):
    choices = [it for it in make_plan(release="1.3.0rc18").choices if it.name == "--telemetry"]
    assert flag_words(choices) == ("--no-telemetry",)


def test_head_of_a_file_is_the_command_and_what_to_know(make_plan: MakePlan):
    made = make_plan("thor", "nvfp4", "1.2.1", is_experimental=True)
    text = server_file_text(made, model="owner/name", config="c.yaml", revision="abc")
    head = [line for line in text.splitlines() if line.startswith("#")]
    assert any("trtllm-serve owner/name --host 127.0.0.1" in line for line in head)
    assert any(line.endswith("--revision abc") for line in head)
    assert any("Experimental" in line for line in head)
    assert yaml.safe_load(text) == yaml.safe_load(server_file(made))


def test_environment_file_is_one_that_container_engines_read(make_plan: MakePlan):
    lines = environment_text(make_plan(), "/cache").splitlines()
    assert lines[0].startswith("# ")
    assert all("=" in line and " " not in line.split("=")[0] for line in lines[1:])


@pytest.mark.parametrize("target", ["h100-sxm", "h100-pcie", "h100-nvl", "spark", "thor"])
def test_ready_made_configurations_are_there_for_every_board(repository: Path, target: str):
    names = {path.stem for path in (repository / "engine_configs" / target).glob("*.yaml")}
    for form in ("bf16", "fp8"):
        assert {f"{form}-{profile}" for profile in ("latency", "balanced", "throughput")} <= names
    assert ("nvfp4-balanced" in names) is (not target.startswith("h100"))
    assert ("bf16-card" in names) is (target != "thor")
