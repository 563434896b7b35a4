"""Our smoke suite against Edge-LLM's real HTTP application. The engine under it is a stub.

What is shown: our requests, streams, thoughts, tools, errors and keys fit the server of the wheel,
started with the options of our own plan. Nothing is shown of an engine: `json_schema` (guided
decoding) and `overlong_prompt` (refused by the native runtime) are left out.
"""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from trt_nemotron.deploy.checkpoint.values import Checkpoint
from trt_nemotron.deploy.runtimes.edgellm.building import engine_sizes
from trt_nemotron.deploy.runtimes.edgellm.environment import Environment
from trt_nemotron.deploy.runtimes.edgellm.predicted import predict_config
from trt_nemotron.deploy.runtimes.edgellm.staging import stage_checkpoint
from trt_nemotron.deploy.runtimes.edgellm.starting import KEY_VARIABLE, server_arguments
from trt_nemotron.measure.smoke.registry import CHECKS
from trt_nemotron.measure.smoke.runner import run_smoke
from trt_nemotron.measure.smoke.suite import SUITES_FOLDER, load_suite
from trt_nemotron.openai.client import Client
from trt_nemotron.openai.dialect import EDGE_LLM, OPENAI
from trt_nemotron.openai.transport import Timeouts
from trt_nemotron.progress import SILENT

pytestmark = pytest.mark.slow

STUB = Path(__file__).with_name("stub_engine_server.py")
KEY = "a-key-of-this-test"
OF_THE_ENGINE = {"json_schema", "overlong_prompt"}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def status_of(url: str, key: str = "") -> int:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as fault:
        fault.close()
        return fault.code
    except OSError:
        return 0


@pytest.fixture(scope="module")
def url(
    environment: Environment,
    planned: Any,
    embedded: Checkpoint,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The server with the options of a plan, with a key; its engine is a stub."""
    folder = tmp_path_factory.mktemp("stub")
    plan = planned(embedded)
    checkpoint = folder / "checkpoint"
    checkpoint.mkdir()
    stage_checkpoint(embedded, checkpoint, environment.python, SILENT)
    config = predict_config(checkpoint, engine_sizes(plan), environment, SILENT)
    (folder / "config.json").write_text(json.dumps(config))
    port = free_port()
    words = server_arguments(plan, model=str(checkpoint), host="127.0.0.1", port=port)
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [environment.python, STUB, folder / "config.json", *words],
            env={**os.environ, KEY_VARIABLE: KEY}, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        root = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 300
        while status_of(f"{root}/health") != 200:
            assert server.poll() is None, (folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.5)
        yield root
    finally:
        server.terminate()
        server.wait(60)


def client_of(url: str) -> Client:
    return Client(
        url, model="", dialect=OPENAI, api_key=KEY, timeouts=Timeouts(read_s=300, total_s=300)
    )


def test_smoke_suite_passes_on_the_real_application(url: str, tmp_path: Path):
    """The long count is a shorter one, for the stub keeps no cache; all else is as it is."""
    tree = yaml.safe_load((SUITES_FOLDER / "embedded.yaml").read_text())
    case = tree["cases"]["stream_equals"]
    case["messages"][0]["content"] = "Count from 1 to 10."
    case["expect"]["content"]["equals"] = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10"
    suite = tmp_path / "embedded.yaml"
    suite.write_text(yaml.safe_dump(tree, sort_keys=False))
    client = client_of(url)
    client = client.having(dialect=client.detect_dialect())
    assert client.dialect is EDGE_LLM
    client = client.having(model=client.models()[0].id)
    asked = [check for name, check in CHECKS.items() if name not in OF_THE_ENGINE]
    report = run_smoke(client, load_suite(str(suite)), asked, cancelled_tokens=256)
    assert {it.name: it.reason for it in report.results if it.status != "pass"} == {}


def test_key_opens_the_api_and_nothing_else_does(url: str):
    assert status_of(f"{url}/v1/models") == 401
    assert status_of(f"{url}/v1/models", "another") == 401
    assert status_of(f"{url}/v1/models", KEY) == 200
    assert status_of(f"{url}/health") == 200


def test_capabilities_are_those_of_the_configuration_that_was_foretold(url: str):
    with urllib.request.urlopen(f"{url}/health", timeout=10) as answer:  # noqa: S310 - loopback
        said = json.load(answer)["capabilities"]
    assert said["max_model_len"] == 8192
    assert said["max_input_len"] == 4096
    assert said["max_batch_size"] == said["max_num_seqs"] == 4
    assert said["in_flight_batching"] is True
    assert said["kv_cache_dtype"] == "fp16"


def test_what_is_not_there_is_answered_as_the_facts_say(url: str, release: Any):
    described = {it.path for it in release.endpoints}
    assert not {"/metrics", "/v1/completions"} & described
    for path in ("/metrics", "/v1/completions"):
        assert status_of(f"{url}{path}", KEY) == 404
