"""The server process: started from settings, safe by default, ended by a signal."""

import http.client
import json
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from trt_nemotron.deploy.runtimes.llamacpp.engine import Engine
from trt_nemotron.deploy.runtimes.llamacpp.launcher import ATTRIBUTES, ENUMS, THREADS, parameters_of
from trt_nemotron.deploy.runtimes.llamacpp.llama_server import OPTIONS, SWITCHES
from trt_nemotron.deploy.runtimes.llamacpp.log import reported_buffers
from trt_nemotron.deploy.runtimes.llamacpp.runtime import RUNTIME
from trt_nemotron.deploy.runtimes.llamacpp.settings import ServerSettings, SettingValue
from trt_nemotron.errors import InvalidInput

CHOICES: dict[str, SettingValue] = {
    "n_ctx": 1024,
    "n_parallel": 2,
    "n_threads": 1,
    "n_threads_batch": 1,
    "cache_ram_mib": 0,
    "fit_params": False,
    "ui": False,
    "cors_origins": "localhost",
    "endpoint_metrics": True,
    "endpoint_slots": True,
}


def settings(model: Path, **more: Any) -> ServerSettings:
    given: dict[str, Any] = {"model": str(model), "alias": "tiny", "port": 0, "choices": CHOICES}
    return ServerSettings(**{**given, **more})


def test_it_serves_its_model_under_its_name(tiny_gguf: Path, tmp_path: Path, start_server: Any):
    with start_server(Engine().argv(settings(tiny_gguf)), tmp_path) as server:
        assert server.ask("GET", "/health")[0] == 200
        models = json.loads(server.ask("GET", "/v1/models")[2])
        assert [model["id"] for model in models["data"]] == ["tiny"]
        assert server.complete("ab", 3)["tokens_predicted"] == 3
        slots = json.loads(server.ask("GET", "/slots")[2])
        assert [slot["n_ctx"] for slot in slots] == [512, 512]
        assert server.ask("GET", "/metrics")[0] == 200


def test_it_is_closed_to_other_sites_and_has_no_web_page(
    tiny_gguf: Path, tmp_path: Path, start_server: Any
):
    with start_server(Engine().argv(settings(tiny_gguf)), tmp_path) as server:
        foreign = server.ask("GET", "/health", Origin="http://evil.example")[1]
        assert "access-control-allow-origin" not in foreign
        own = server.ask("OPTIONS", "/v1/models", Origin="http://localhost:3000")[1]
        assert own["access-control-allow-origin"] == "http://localhost:3000"
        assert own["access-control-allow-credentials"] == "false"
        assert server.ask("GET", "/")[0] == 404
        assert server.ask("POST", "/props", {})[0] != 200
        listening = [line for line in server.log.splitlines() if "listening on" in line]
        assert all("127.0.0.1" in line for line in listening)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once(
    tiny_gguf: Path, tmp_path: Path, start_server: Any, number: signal.Signals
):
    with start_server(Engine().argv(settings(tiny_gguf)), tmp_path) as server:
        _wait_for_launcher(server)
        begun = time.monotonic()
        assert server.stop(number) == 0
        assert time.monotonic() - begun < 20  # it once hung for ever


def test_a_signal_ends_it_in_the_middle_of_an_answer(
    tiny_gguf: Path, tmp_path: Path, start_server: Any
):
    with start_server(Engine().argv(settings(tiny_gguf)), tmp_path) as server:
        _wait_for_launcher(server)
        client = threading.Thread(target=_read_long_stream, args=(server,))
        client.start()
        time.sleep(0.2)
        begun = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begun < 20  # it once hung for ever
        client.join(10)
        assert not client.is_alive()


def _wait_for_launcher(server: Any) -> None:
    """Until the launcher has its say, which is after the server's own line: only then does a
    signal end it with code 0. Before, it ends by the signal itself.
    """
    deadline = time.monotonic() + 30
    while "\nlistening on " not in server.log:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _read_long_stream(server: Any) -> None:
    body = {"prompt": "ab", "n_predict": 100_000, "stream": True, "ignore_eos": True}
    with suppress(OSError, http.client.HTTPException):  # the answer ends with the server
        server.ask("POST", "/completion", body)


@pytest.mark.parametrize("kind", ["missing", "cut short", "not a GGUF"])
def test_a_file_that_does_not_load_ends_it_with_a_reason(
    tiny_gguf: Path, tmp_path: Path, start_server: Any, kind: str
):
    model = tmp_path / "model.gguf"
    if kind == "cut short":
        model.write_bytes(tiny_gguf.read_bytes()[:100_000])
    elif kind == "not a GGUF":
        model.write_bytes(b"PK\3\4" + bytes(10_000))
    with start_server(Engine().argv(settings(model)), tmp_path) as server:
        assert server.process.wait(20) == 1
        assert "error: the server did not start" in server.log


@pytest.mark.parametrize("text", ["", "{", "[]", '{"model": 1}', '{"unknown": 1}'])
def test_settings_that_cannot_be_read_are_refused(tmp_path: Path, start_server: Any, text: str):
    module = "trt_nemotron.deploy.runtimes.llamacpp.launcher"
    with start_server([sys.executable, "-m", module, "--settings", text], tmp_path) as server:
        assert server.process.wait(10) == 2
        assert "--settings" in server.log


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_ctx", "many"),
        ("n_threads", "two"),
        ("cache_type_k", "q9_9"),
        ("flash_attn_type", "perhaps"),
        ("reasoning_format", "loud"),
        ("n_chickens", 3),
    ],
)
def test_a_choice_that_the_server_does_not_take_is_refused(name: str, value: SettingValue):
    with pytest.raises(InvalidInput, match=name):
        parameters_of(settings(Path("x"), choices={name: value}))


def test_every_choice_reaches_the_server():
    """Each value is another than the default, and is found where the server reads it."""
    import xllamacpp

    given = parameters_of(
        settings(
            Path("x"),
            choices={
                **CHOICES,
                "cache_type_k": "q8_0",
                "cache_type_v": "bf16",
                "flash_attn_type": "off",
                "reasoning_format": "deepseek-legacy",
                "n_threads": 3,
                "n_threads_batch": 5,
                "n_ubatch": 128,
                "warmup": False,
                "use_jinja": False,
                "cache_prompt": False,
                "kv_unified": True,
            },
        )
    )
    assert (given.n_ctx, given.n_parallel, given.n_ubatch) == (1024, 2, 128)
    assert (given.cpuparams.n_threads, given.cpuparams_batch.n_threads) == (3, 5)
    assert given.cache_type_k == xllamacpp.ggml_type.GGML_TYPE_Q8_0
    assert given.cache_type_v == xllamacpp.ggml_type.GGML_TYPE_BF16
    flash = xllamacpp.llama_flash_attn_type
    assert given.flash_attn_type == flash.LLAMA_FLASH_ATTN_TYPE_DISABLED
    reasoning = xllamacpp.common_reasoning_format
    assert given.reasoning_format == reasoning.COMMON_REASONING_FORMAT_DEEPSEEK_LEGACY
    assert not any((given.warmup, given.use_jinja, given.cache_prompt, given.ui))
    assert given.kv_unified


def test_every_setting_of_the_release_can_be_said_to_wheel_and_program():
    names = {setting.name for setting in RUNTIME.release().settings}
    assert names == {*ATTRIBUTES, *ENUMS, *THREADS, "flash_attn_type"}
    assert names == {*OPTIONS, *SWITCHES}


def test_the_log_gives_the_buffers(tiny_gguf: Path, tmp_path: Path, start_server: Any):
    with start_server(Engine().argv(settings(tiny_gguf)), tmp_path) as server:
        server.port()
        found = {buffer.name for buffer in reported_buffers(server.log)}
        assert found == {"weights", "kv_cache", "conv_state", "ssm_state", "compute", "output"}
