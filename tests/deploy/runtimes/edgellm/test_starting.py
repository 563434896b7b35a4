"""The launch of a built bundle, and the launcher against the real server's own cache."""

import errno
import importlib.util
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import trt_nemotron.deploy.runtimes.edgellm as package
from trt_nemotron.deploy.bundle.values import Manifest
from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.runtimes.edgellm.log import reported_facts
from trt_nemotron.deploy.runtimes.edgellm.starting import (
    KEY_VARIABLE,
    LAUNCHER,
    launch,
    server_arguments,
)
from trt_nemotron.deploy.runtimes.edgellm.values import STATE_NAME, BuildState
from trt_nemotron.deploy.runtimes.protocol import Place
from trt_nemotron.document import sha256_of, write_document
from trt_nemotron.errors import EnvironmentUnfit, InvalidInput


def manifest_of(plan: Any) -> Manifest:
    return Manifest(
        name="b", tool_version="0", target=plan.target, runtime="edgellm", release=plan.release,
        served_model_name=plan.served_model_name, configuration_sha256=sha256_of(plan),
        model_path="model/checkpoint", files=(),
    )  # fmt: skip


def bundle_in(folder: Path, state: BuildState) -> Path:
    (folder / "model").mkdir(parents=True)
    write_document(folder / "model" / STATE_NAME, state)
    return folder


PENDING = BuildState(state="device step pending", next_step="On the board run build again.")


def test_bundle_without_an_engine_is_refused_with_the_step_that_is_left(
    planned: Any, embedded: Checkpoint, tmp_path: Path
):
    plan = planned(embedded)
    with pytest.raises(EnvironmentUnfit, match="waits for its device step") as caught:
        launch(bundle_in(tmp_path / "b", PENDING), manifest_of(plan), plan, Place(), "")
    assert caught.value.next_step == "On the board run build again."


def test_container_sees_the_bundle_and_the_key_by_name_only(
    planned: Any, embedded: Checkpoint, tmp_path: Path
):
    plan = planned(embedded)
    bundle = bundle_in(tmp_path / "b", BuildState(state="built"))
    place = Place(engine="docker", image="edgellm:thor", secret_names=(KEY_VARIABLE,))
    found = launch(bundle, manifest_of(plan), plan, place, "")
    assert found.argv[:6] == (
        "python3", "/launcher/launcher.py", "/bundle/model/engine", "/cache", KEY_VARIABLE,
        "/bundle/model/checkpoint",
    )  # fmt: skip
    assert "--api-key" not in found.argv
    assert found.secret_names == (KEY_VARIABLE,)
    assert found.api_key_variable == KEY_VARIABLE
    assert found.container is not None
    assert {mount.target for mount in found.container.mounts} == {
        "/bundle",
        "/launcher/launcher.py",
    }
    assert not any(mount.is_writable for mount in found.container.mounts)


def test_no_key_is_sent_where_none_was_handed_on(
    planned: Any, embedded: Checkpoint, tmp_path: Path
):
    plan = planned(embedded)
    bundle = bundle_in(tmp_path / "b", BuildState(state="built"))
    place = Place(engine="docker", image="edgellm:thor", secret_names=("HF_TOKEN",))
    found = launch(bundle, manifest_of(plan), plan, place, "")
    assert found.argv[4] == "-"
    assert found.api_key_variable == ""


def test_container_without_a_known_image_is_refused(
    planned: Any, embedded: Checkpoint, tmp_path: Path
):
    plan = planned(embedded)
    bundle = bundle_in(tmp_path / "b", BuildState(state="built"))
    with pytest.raises(InvalidInput, match="no container image"):
        launch(bundle, manifest_of(plan), plan, Place(engine="podman"), "")


def test_command_line_listens_where_it_is_told_and_says_every_size(
    planned: Any, embedded: Checkpoint
):
    words = server_arguments(planned(embedded), model="M", host="127.0.0.1", port=8123)
    assert words[:5] == ("M", "--host", "127.0.0.1", "--port", "8123")
    assert "--enable-in-flight-batching" in words
    assert words[words.index("--max-kv-cache-capacity") + 1] == "8192"
    assert "HF_HUB_OFFLINE" not in words


@pytest.fixture(scope="module")
def launcher() -> ModuleType:
    spec = importlib.util.spec_from_file_location("edgellm_launcher", LAUNCHER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_launcher_places_an_engine_once_and_whole(launcher: ModuleType, tmp_path: Path):
    engine = tmp_path / "engine"
    engine.mkdir()
    (engine / "llm.engine").write_bytes(b"engine")
    place = tmp_path / "cache" / "engines" / "model-1" / "i1"
    launcher.place_engine(engine, place)
    assert (place / "llm.engine").read_bytes() == b"engine"
    (place / "mark").touch()
    launcher.place_engine(engine, place)
    assert (place / "mark").exists()
    assert [path.name for path in place.parent.iterdir()] == ["i1"]


def refuse_link(source: str, target: str) -> None:
    """As where the cache is on another file system."""
    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), source, None, target)


@pytest.mark.parametrize("is_linked", [True, False])
def test_launcher_replaces_an_engine_that_was_built_again(
    launcher: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_linked: bool
):
    """The server itself would take the old one: it compares sizes in the configuration only."""
    if not is_linked:
        monkeypatch.setattr(launcher.os, "link", refuse_link)
    engine = tmp_path / "engine"
    engine.mkdir()
    (engine / "llm.engine").write_bytes(b"older")
    place = tmp_path / "cache" / "engines" / "model-1" / "i1"
    launcher.place_engine(engine, place)
    (place / "mark").touch()
    launcher.place_engine(engine, place)
    assert (place / "mark").exists()
    (engine / "llm.engine").unlink()
    (engine / "llm.engine").write_bytes(b"newer")
    launcher.place_engine(engine, place)
    assert (place / "llm.engine").read_bytes() == b"newer"
    assert [path.name for path in place.parent.iterdir()] == ["i1"]


def test_launcher_says_what_is_missing(launcher: ModuleType):
    with pytest.raises(SystemExit, match="lacks tensorrt-edgellm"):
        launcher.main(["E", "C", "-", "M"])


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("INFO Successfully captured decoding CUDA graphs for active decoding strategies.", 1.0),
        ("WARNING Failed to capture decoding CUDA graphs for some stages. The inference", 0.0),
        ("CUDA graph capture disabled via EDGELLM_DISABLE_CUDA_GRAPH.", 0.0),
    ],
)
def test_graph_capture_is_a_finding(line: str, value: float):
    (fact,) = reported_facts(f"INFO loading\n{line}\nINFO Engine loaded and ready.\n")
    assert (fact.name, fact.value, fact.line) == ("cuda_graphs", value, line)


def test_a_log_that_says_nothing_of_graphs_gives_no_finding():
    assert reported_facts("INFO Engine loaded and ready.\n") == ()


def test_every_program_run_in_the_environment_imports_nothing_of_ours():
    folder = Path(package.__file__).parent
    for path in (*(folder / "inside").glob("*.py"), folder / "launcher.py"):
        assert "trt_nemotron" not in path.read_text(), path
