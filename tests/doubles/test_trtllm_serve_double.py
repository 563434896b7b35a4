"""The double against what it stands for: as strict, as loud, and as hard to kill wrongly.

These tests hold the double itself; what the product does with it is tested where the product is.
"""

import json
import re
import shlex
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.doubles.conftest import EMBEDDED, CheckArguments, Double
from tests.doubles.trtllm_serve.arguments import graph_sizes
from tests.doubles.trtllm_serve.contract import ContractUnreadable, read_contract
from tests.doubles.trtllm_serve.memory import kv_token_bytes, state_bytes

ROOT = Path(__file__).resolve().parents[2]
READY_MADE = sorted(
    path
    for path in (ROOT / "engine_configs").glob("*/*.yaml")
    if path.stem.partition("-")[0] in {"bf16", "fp8", "nvfp4"}
)
WRONG = sorted((ROOT / "tests/facts/lint/wrong").glob("*.yaml"))
RIGHT = sorted((ROOT / "tests/facts/lint/right").glob("*.yaml"))

# Files that `config lint` refuses and the server's arguments do not, with the reason.
LOADED_ALL_THE_SAME = {
    "number_in_quotes": "pydantic takes the text of a number for the number",
    "batch_given_twice_new_precedence": "one of the two wins",
    "batch_given_twice_old_precedence": "one of the two wins",
    "fraction_given_twice_by_alias": "one of the two wins",
    "flag_twice_under_two_names": "the last one wins",
    "key_twice_in_the_file": "the last one wins",
    "block_reuse_on_a_hybrid": "an assertion later, when the pools are taken",
    "draft_layers_that_do_not_exist": "an assertion later, when the model is made",
    "graphs_above_the_batch": "an assertion later, when graphs are captured",
    "graphs_above_the_batch_of_the_flag": "an assertion later, when graphs are captured",
    "fewer_tokens_than_sequences": "a warning there",
    "no_batch_at_all": "the default stands, and the states do not fit",
    "board_that_refuses": "only the board knows",
    "host_cache_on_unified_memory": "only the board knows",
    "three_boards": "an error later, when the model is made",
    "tensorrt_backend": "an error later, when the model is made",
    "word_for_a_switch": "pydantic takes yes and on for true",
    "disk_cache_without_a_folder": "its check is not one of the double's",
    "snapshot_places_without_v2": "its check is not one of the double's",
}

HUGE = {"hybrid_override_pattern": "M" * 21 + "*" * 4, "mamba_num_heads": 96, "mamba_head_dim": 80,
        "n_groups": 8, "ssm_state_size": 128, "conv_kernel": 4, "num_key_value_heads": 8,
        "head_dim": 128}  # fmt: skip


def test_all_ready_made_configurations_are_here():
    assert len(READY_MADE) == 40


@pytest.mark.parametrize("path", READY_MADE, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_ready_made_configuration_is_accepted_with_its_own_command(
    path: Path, check_arguments: CheckArguments, handmade_command: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    monkeypatch.chdir(ROOT)
    release, words = handmade_command(path)
    ended = check_arguments(release, *words)
    assert ended.code == 0, ended.text
    assert "[W]" not in ended.text, "a knob stands in two places"


def said(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^# (\w+): (.*)$", path.read_text(), re.MULTILINE))


def words_of(path: Path) -> list[str]:
    flags = shlex.split(said(path).get("flags", "trtllm-serve MODEL"))[1:]
    kept = [it for it in flags if it != "--extra_llm_api_options" and not it.startswith("/tmp")]
    return [*kept, "--extra_llm_api_options", str(path)]


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_wrong_file_is_refused_or_loaded_for_a_reason(path: Path, check_arguments: CheckArguments):
    ended = check_arguments(said(path)["release"], *words_of(path))
    assert (ended.code == 0) == (path.stem in LOADED_ALL_THE_SAME), ended.text


@pytest.mark.parametrize("path", RIGHT, ids=lambda path: path.stem)
def test_right_file_is_accepted(path: Path, check_arguments: CheckArguments):
    ended = check_arguments(said(path)["release"], *words_of(path))
    assert ended.code == 0, ended.text


@pytest.mark.parametrize(
    ("release", "words", "expected"),
    [
        ("1.3.0rc6", ["M", "--served_model_name", "x"], "No such option: --served_model_name"),
        ("1.3.0rc14", ["M", "--max-batch-size", "8"], "Did you mean --max_batch_size?"),
        ("1.3.0rc14", ["M", "--kv_cache_dtype", "int8"], "'int8' is not one of"),
        ("1.3.0rc14", ["M", "--port", "web"], "'web' is not a valid integer"),
        ("1.3.0rc14", ["M", "and", "more"], "unexpected extra arguments"),
        ("1.3.0rc14", ["serve"], "Missing argument 'MODEL'"),
    ],
)
def test_wrong_command_line_ends_with_two_and_clicks_words(
    release: str, words: list[str], expected: str, check_arguments: CheckArguments
):
    ended = check_arguments(release, *words)
    assert ended.code == 2
    assert expected in ended.text


@pytest.mark.parametrize(
    ("release", "text", "expected"),
    [
        ("1.3.0rc14", "kv_cache_config: {typo: 1}", "kv_cache_config.typo\n  Extra inputs are not"),
        ("1.3.0rc6", "kv_cache_config: {avg_seq_len: 4096}", "Extra inputs are not permitted"),
        ("1.3.0rc14", "max_batch_size: [8]", "Input should be a valid integer"),
        ("1.3.0rc14", "kv_cache_config: {free_gpu_memory_fraction: 90}", "less than or equal to 1"),
        ("1.3.0rc14", "kv_cache_config: {max_gpu_total_bytes: 4GiB}", "unable to parse string"),
        (
            "1.3.0rc14",
            "cuda_graph_config: {batch_sizes: [1, 2], max_batch_size: 4}",
            "CudaGraphConfig.max_batch_size is incompatible",
        ),
        (
            "1.3.0rc6",
            "cuda_graph_config: {batch_sizes: [1, 3], max_batch_size: 3}",
            "Please don't set both",
        ),
        ("1.3.0rc14", "- a list", "argument after ** must be a mapping"),
        ("1.3.0rc14", "a: [", "yaml.scanner.ScannerError"),
    ],
)
def test_wrong_file_ends_with_one_and_the_servers_words(
    release: str, text: str, expected: str, check_arguments: CheckArguments, tmp_path: Path
):
    file = tmp_path / "config.yaml"
    file.write_text(text)
    ended = check_arguments(release, "MODEL", "--extra_llm_api_options", str(file))
    assert ended.code == 1
    assert expected in ended.text


@pytest.mark.parametrize(
    ("release", "said"),
    [
        ("1.3.0rc14", "Overriding max_batch_size because it's specified in"),
        ("1.3.0rc18", "max_batch_size=4 of the file is overridden by the flag: 8"),
    ],
)
def test_knob_in_two_places_goes_by_the_releases_precedence_aloud(
    release: str, said: str, check_arguments: CheckArguments, tmp_path: Path
):
    file = tmp_path / "config.yaml"
    file.write_text("max_batch_size: 4")
    words = ["MODEL", "--max_batch_size", "8", "--extra_llm_api_options", str(file)]
    assert said in check_arguments(release, *words).text


def test_flags_default_does_not_beat_the_file(check_arguments: CheckArguments, tmp_path: Path):
    file = tmp_path / "config.yaml"
    file.write_text("max_batch_size: 4")
    ended = check_arguments("1.3.0rc18", "MODEL", "--extra_llm_api_options", str(file))
    assert "[W]" not in ended.text


def test_unknown_release_is_the_tests_own_mistake():
    with pytest.raises(ContractUnreadable, match=r"1\.3\.0rc14"):
        read_contract("9.9")


def test_states_and_kv_cache_are_the_published_figures():
    assert state_bytes(HUGE, "float32") == 83_801_088
    assert state_bytes(HUGE, "bfloat16") == 42_513_408
    assert kv_token_bytes(HUGE, "auto") == 16 << 10
    assert kv_token_bytes(HUGE, "fp8") == 8 << 10


@pytest.mark.parametrize(
    ("largest", "has_padding", "sizes"),
    [
        (32, True, [1, 2, 4, 8, 16, 24, 32]),
        (4, False, [1, 2, 3, 4]),
        (5, True, [1, 2, 4, 5]),
        (128, False, [*range(1, 33), 64, 128]),
        (300, True, [1, 2, 4, *range(8, 129, 8), 256, 300]),
    ],
)
def test_generated_graph_sizes(largest: int, has_padding: bool, sizes: list[int]):
    assert graph_sizes(largest, has_padding=has_padding) == sizes


STARTS = ("--max_batch_size", "4", "--max_seq_len", "2048")


@pytest.mark.slow
def test_serves_under_the_folders_name_or_the_flags(trtllm_serve: Callable[..., Double]):
    double = trtllm_serve("1.3.0rc14")
    double.start(*STARTS, "--served_model_name", "mine", "--reasoning_parser", "nano-v3")
    double.wait_for("Uvicorn running on")
    assert double.get("/health") == (200, b"")
    assert double.get("/health_generate")[1] == b"Generation health check OK"
    assert json.loads(double.get("/v1/models")[1])["data"][0]["id"] == "mine"
    assert json.loads(double.get("/version")[1]) == {"version": "1.3.0rc14"}
    assert json.loads(double.get("/metrics")[1]) == []
    question = {
        "model": "mine",
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
        "max_tokens": 64,
        "temperature": 0,
    }
    status, body = double.get("/v1/chat/completions", json.dumps(question).encode())
    message = json.loads(body)["choices"][0]["message"]
    assert status == 200
    assert "Paris" in message["content"]
    assert message["reasoning_content"]
    assert message["tool_calls"] == []
    for wrong, expected in (
        ({**question, "guided_json": {}}, "extra_forbidden"),
        ({**question, "tool_choice": "required", "tools": []}, "literal_error"),
        ({**question, "stream_options": {"include_usage": True}}, "can only be set if stream"),
        ({"model": "mine"}, "missing"),
    ):
        status, body = double.get("/v1/chat/completions", json.dumps(wrong).encode())
        assert (status, json.loads(body)["object"]) == (400, "error")
        assert expected in json.loads(body)["message"]
    assert double.get("/v1/embeddings", b"{}")[0] == 404
    assert double.stop() == 0


@pytest.mark.slow
def test_stream_tells_the_counts_in_every_chunk(trtllm_serve: Callable[..., Double]):
    double = trtllm_serve()
    double.start(*STARTS)
    double.wait_for("Uvicorn running on")
    question = {
        "model": EMBEDDED.name,
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
        "max_tokens": 8,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    _, body = double.get("/v1/chat/completions", json.dumps(question).encode())
    events = [it.removeprefix("data: ") for it in body.decode().split("\n\n") if it]
    assert events[-1] == "[DONE]"
    trees = [json.loads(it) for it in events[:-1]]
    assert all("usage" in tree for tree in trees)
    assert trees[-1]["choices"] == []
    assert trees[-1]["usage"]["completion_tokens"] == 8
    assert not any(None in choice.values() for tree in trees for choice in tree["choices"])
    assert double.stop(signal.SIGINT) == 0


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("exit:weights", "torch.OutOfMemoryError: CUDA out of memory."),
        ("exit:pools", "AssertionError: Impossible to fit in any sequence"),
        ("exit:autotuner", "ptxas fatal   : Value 'sm_110a' is not defined"),
        ("exit:graphs", "RuntimeError: Executor creation failed due to insufficient GPU memory."),
    ],
)
@pytest.mark.slow
def test_fault_ends_the_start_in_the_servers_words(
    fault: str, expected: str, trtllm_serve: Callable[..., Double]
):
    double = trtllm_serve(fault=fault)
    double.start(*STARTS)
    assert double.wait_until_ended() == 1
    assert expected in double.text
    assert "Uvicorn" not in double.text


@pytest.mark.parametrize(
    ("release", "file", "expected"),
    [
        ("1.3.0rc14", "kv_cache_config: {enable_block_reuse: true}", "requires block reuse to be"),
        ("1.3.0rc14", "cuda_graph_config: {max_batch_size: 8}", "Padding requests run out of"),
        ("1.3.0rc14", "speculative_config: {decoding_type: MTP}", "There are not MTP modules"),
        ("1.3.0rc14", "tensor_parallel_size: 3", "TP has to be either 1, 2, 4 or 8"),
        ("1.3.0rc14", "kv_cache_config: {max_tokens: 1}", "Impossible to fit in any sequence"),
        ("1.4.0rc1", "kv_cache_config: {max_gpu_total_bytes: 4096}", "quota is too small"),
        (
            "1.4.0rc1",
            "kv_cache_config: {max_tokens: 1}",
            "'kv_cache_config.avg_seq_len' is not set",
        ),
    ],
)
@pytest.mark.slow
def test_what_only_the_start_finds_ends_it(
    release: str, file: str, expected: str, trtllm_serve: Callable[..., Double], tmp_path: Path
):
    (tmp_path / "config.yaml").write_text(file)
    double = trtllm_serve(release)
    double.start(*STARTS, "--extra_llm_api_options", str(tmp_path / "config.yaml"))
    assert double.wait_until_ended() == 1
    assert expected in double.text


@pytest.mark.slow
def test_default_batch_does_not_fit_beside_little_memory(trtllm_serve: Callable[..., Double]):
    double = trtllm_serve(TRTLLM_DOUBLE_GPU_BYTES=str(64 << 20))
    double.start("--max_seq_len", "2048")
    assert double.wait_until_ended() == 1
    assert "torch.OutOfMemoryError" in double.text


@pytest.mark.parametrize("name", ["OMPI_COMM_WORLD_RANK", "PMIX_RANK"])
@pytest.mark.slow
def test_launchers_variables_crash_it(name: str, trtllm_serve: Callable[..., Double]):
    double = trtllm_serve(**{name: "0"})
    double.start(*STARTS)
    assert double.wait_until_ended() == 1
    assert "orte_init failed" in double.text


@pytest.mark.slow
def test_cache_that_cannot_be_written_ends_it(trtllm_serve: Callable[..., Double]):
    double = trtllm_serve(TRITON_CACHE_DIR="/proc/cache")
    double.start(*STARTS)
    assert double.wait_until_ended() == 1
    assert "/proc/cache" in double.text.splitlines()[-1]


@pytest.mark.slow
def test_taken_port_ends_it_before_anything_loads(trtllm_serve: Callable[..., Double]):
    first, second = trtllm_serve(fault="hang:weights"), trtllm_serve()
    first.start(*STARTS)
    first.wait_for("Using LLM with PyTorch backend")
    second.port = first.port
    second.start(*STARTS)
    assert second.wait_until_ended() == 1
    assert f"Failed to bind socket to 127.0.0.1:{first.port}" in second.text
    assert "PyTorch backend" not in second.text


@pytest.mark.slow
def test_nothing_listens_while_it_loads(trtllm_serve: Callable[..., Double]):
    double = trtllm_serve(fault="hang:pools")
    double.start(*STARTS)
    double.wait_for("Estimated max memory")
    with pytest.raises(OSError, match="refused"):
        double.get("/health")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, "Unrecognized model"),
        ({"config.json": '{"model_type": "llama"}'}, "Unknown architecture"),
        ({"config.json": '{"model_type": "nemotron_h"}'}, "No weight files found"),
    ],
)
@pytest.mark.slow
def test_folder_without_such_weights_is_refused(
    files: dict[str, str], expected: str, trtllm_serve: Callable[..., Double], tmp_path: Path
):
    folder = tmp_path / "weights"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    double = trtllm_serve()
    double.start(*STARTS, model=folder)
    assert double.wait_until_ended() == 1
    assert expected in double.text
