"""The real `transformers serve`, started as our runtime starts it from a bundle."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.runtimes.llamacpp import server_process
from trt_nemotron.deploy.bundle.reader import read_bundle, verify_bundle
from trt_nemotron.deploy.bundle.writer import build_bundle
from trt_nemotron.deploy.checkpoint.embedded import embedded_checkpoint_path
from trt_nemotron.deploy.machine import detect_machine
from trt_nemotron.deploy.planning import make_plan
from trt_nemotron.deploy.runtimes.protocol import Place, Wishes
from trt_nemotron.deploy.runtimes.transformers.runtime import RUNTIME

pytestmark = [pytest.mark.torch, pytest.mark.slow]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle in a folder whose name has an `@`, where the server would cut a path."""
    out = tmp_path_factory.mktemp("bundles") / "me@here" / "bundle"
    plan, checkpoint = make_plan(
        "cpu", "transformers", embedded_checkpoint_path(), Wishes(), detect_machine()
    )
    build_bundle(out, plan, checkpoint, RUNTIME)
    return out


@pytest.fixture(scope="module")
def server(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("run")
    manifest, plan = read_bundle(bundle)
    launch = RUNTIME.launch(bundle, manifest, plan, Place(port=0))
    environment = {**launch.environment, "HF_HOME": str(folder / "hf")}
    environment["HF_HUB_CACHE"] = str(folder / "hf" / "hub")
    with server_process.started(launch.argv, folder, **environment) as started:
        yield started


def ask(server: Any, **more: Any) -> tuple[int, dict[str, Any]]:
    body = {
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
        "max_tokens": 64,
        "temperature": 0,
        "chat_template_kwargs": {"enable_thinking": False},
    }
    status, _, text = server.ask("POST", "/v1/chat/completions", {**body, **more})
    return status, json.loads(text)


def test_it_answers_under_the_served_name(server: Any, bundle: Path):
    name = read_bundle(bundle)[0].served_model_name
    status, answer = ask(server, model=name)
    assert status == 200, answer
    assert "Paris" in answer["choices"][0]["message"]["content"]
    assert answer["model"] == f"{name}@main"
    assert ask(server)[0] == 200, "without a model it takes its own"
    assert ask(server, model="another")[0] == 400


def test_the_list_of_models_is_empty_and_no_error(server: Any):
    status, _, text = server.ask("GET", "/v1/models")
    assert (status, json.loads(text)["data"]) == (200, [])


def test_its_log_says_where_it_listens_and_serving_leaves_the_bundle_whole(
    server: Any, bundle: Path
):
    assert server.port() > 0
    verify_bundle(bundle)
    assert RUNTIME.reported_buffers(server.log) == ()
