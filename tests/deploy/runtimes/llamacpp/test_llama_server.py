"""The program `llama-server` in place of the wheel: found, spoken to in its own flags, served."""

import os
from pathlib import Path
from typing import Any

import pytest

from trt_nemotron.deploy.bundle.reader import read_bundle
from trt_nemotron.deploy.bundle.writer import build_bundle
from trt_nemotron.deploy.machine import Machine
from trt_nemotron.deploy.planning import make_plan
from trt_nemotron.deploy.runtimes.llamacpp.engine import PROGRAM_VARIABLE, Engine, find_engine
from trt_nemotron.deploy.runtimes.llamacpp.llama_server import llama_server_argv
from trt_nemotron.deploy.runtimes.llamacpp.runtime import RUNTIME
from trt_nemotron.deploy.runtimes.llamacpp.settings import ServerSettings
from trt_nemotron.deploy.runtimes.protocol import Place, Wishes
from trt_nemotron.errors import EnvironmentUnfit, InvalidInput

LAPTOP = Machine(architecture="x86_64", cores=2, memory_total_bytes=8 << 30)


def test_the_wheel_comes_before_a_program_on_path(llama_server_on_path: Path):
    path = {"PATH": str(llama_server_on_path)}
    assert find_engine(path, has_wheel=True) == Engine()
    found = find_engine(path, has_wheel=False)
    assert found.program == str(llama_server_on_path / "llama-server")


def test_the_variable_comes_before_both(llama_server_on_path: Path):
    program = str(llama_server_on_path / "llama-server")
    assert find_engine({PROGRAM_VARIABLE: program, "PATH": ""}, has_wheel=True).program == program
    with pytest.raises(EnvironmentUnfit, match=PROGRAM_VARIABLE):
        find_engine({PROGRAM_VARIABLE: program + "-not-there"})


def test_without_either_the_extra_to_install_is_named(tmp_path: Path):
    with pytest.raises(EnvironmentUnfit) as caught:
        find_engine({"PATH": str(tmp_path)}, has_wheel=False)
    assert "pip install 'trt-nemotron[llamacpp]'" in caught.value.next_step


def test_a_choice_without_a_flag_is_refused():
    settings = ServerSettings(model="m", alias="a", port=0, choices={"n_chickens": 3})
    with pytest.raises(InvalidInput, match="n_chickens"):
        llama_server_argv("llama-server", settings)


@pytest.mark.parametrize(
    ("name", "value", "flags"),
    [
        ("endpoint_metrics", True, ("--metrics",)),
        ("endpoint_metrics", False, ()),
        ("fit_params", False, ("--fit", "off")),
        ("kv_unified", False, ("--no-kv-unified",)),
        ("n_ctx", 4096, ("--ctx-size", "4096")),
    ],
)
def test_a_choice_becomes_its_flag(name: str, value: int | bool, flags: tuple[str, ...]):
    empty = ServerSettings(model="m", alias="a", port=0, choices={})
    chosen = ServerSettings(model="m", alias="a", port=0, choices={name: value})
    fixed = llama_server_argv("x", empty)
    said = [word for word in llama_server_argv("x", chosen) if word not in fixed]
    assert said == [flag for flag in flags if flag not in fixed]
    assert set(flags) <= set(llama_server_argv("x", chosen))


def test_a_bundle_is_built_and_served_by_the_program_alone(
    tiny_checkpoint: Path,
    llama_server_on_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    start_server: Any,
):
    """The double knows no flag but the program's own, so every flag of ours exists."""
    monkeypatch.setenv(PROGRAM_VARIABLE, str(llama_server_on_path / "llama-server"))
    plan, checkpoint = make_plan("cpu", "llamacpp", tiny_checkpoint, Wishes(slots=2), LAPTOP)
    build_bundle(tmp_path / "bundle", plan, checkpoint, RUNTIME)
    manifest, plan = read_bundle(tmp_path / "bundle")
    launch = RUNTIME.launch(tmp_path / "bundle", manifest, plan, Place(port=0))
    assert os.path.basename(launch.argv[0]) == "llama-server"  # noqa: PTH119 - a text, not a path
    with start_server(launch.argv, tmp_path, **launch.environment) as server:
        assert server.complete("ab", 2)["tokens_predicted"] == 2
        assert {buffer.name for buffer in RUNTIME.reported_buffers(server.log)} >= {
            "weights",
            "kv_cache",
        }
        assert server.stop() == 0
