"""Our requests against the real server's own protocol code; no engine is behind it."""

import json
from typing import Any

import pytest

from trt_nemotron import command
from trt_nemotron.deploy.runtimes.edgellm.environment import Environment
from trt_nemotron.deploy.runtimes.edgellm.starting import server_arguments
from trt_nemotron.openai.dialect import EDGE_LLM, OPENAI, recognize_dialect
from trt_nemotron.openai.request import ChatRequest, chat_body

pytestmark = pytest.mark.slow

VALIDATE = """
import json, sys
from pydantic import ValidationError
from experimental.server.api.protocol import ChatCompletionRequest
try:
    found = ChatCompletionRequest.model_validate(json.loads(sys.stdin.read()))
    print(json.dumps({"thinks": found.enable_thinking, "temperature": found.temperature}))
except ValidationError as fault:
    print(json.dumps({"fault": fault.errors()[0]["msg"]}))
"""
DESCRIBE = """
import json
from types import SimpleNamespace
from experimental.server.api.app import create_app
from experimental.server.config import ApiConfig
stub = SimpleNamespace(llm=SimpleNamespace(model_dir="."))
print(json.dumps(create_app(stub, ApiConfig()).openapi()))
"""
PARSE = """
import json, sys
from dataclasses import asdict
from experimental.server.config import parse_server_config
print(json.dumps(asdict(parse_server_config(json.loads(sys.stdin.read())))))
"""


def ask(environment: Environment, code: str, given: object = None) -> Any:
    answer = command.run(
        [str(environment.python), "-c", code], timeout_s=300, input=json.dumps(given)
    )
    return json.loads(answer.stdout.splitlines()[-1])


QUESTION = ChatRequest(
    messages=[{"role": "user", "content": "Hello"}], max_tokens=8, is_thinking_enabled=True,
    model="m", is_length_fixed=True, top_p=0.9, seed=1, stop=["x"],
    tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}], tool_choice="auto",
    json_schema={"type": "object"},
)  # fmt: skip


@pytest.mark.parametrize("is_streamed", [False, True])
def test_every_field_that_we_send_is_known_to_the_server(
    environment: Environment, is_streamed: bool
):
    body = chat_body(QUESTION, is_streamed=is_streamed, dialect=EDGE_LLM)
    assert ask(environment, VALIDATE, body) == {"thinks": True, "temperature": 0.0}


@pytest.mark.parametrize("extra", [{"ignore_eos": True}, {"min_tokens": 4}, {"user": "me"}])
def test_foreign_fields_are_refused_by_it(environment: Environment, extra: dict[str, Any]):
    body = {**chat_body(QUESTION, dialect=EDGE_LLM), **extra}
    assert ask(environment, VALIDATE, body) == {"fault": "Extra inputs are not permitted"}


def test_common_form_with_a_fixed_length_would_be_refused(environment: Environment):
    assert "fault" in ask(environment, VALIDATE, chat_body(QUESTION, dialect=OPENAI))


def test_thinking_is_off_unless_a_request_says_otherwise(environment: Environment):
    body = {"messages": [{"role": "user", "content": "Hello"}]}
    assert ask(environment, VALIDATE, body)["thinks"] is False


def test_server_is_recognized_by_its_own_description(environment: Environment):
    description = ask(environment, DESCRIBE)
    assert recognize_dialect(description) is EDGE_LLM
    assert "/metrics" not in description["paths"]


def test_command_line_of_a_plan_is_one_that_the_server_accepts(
    environment: Environment, planned: Any, embedded: Any
):
    made = planned(embedded, profile="latency")
    words = server_arguments(made, model="M", host="127.0.0.1", port=8123)
    found = ask(environment, PARSE, words)
    assert found["api"]["host"] == "127.0.0.1"
    assert found["api"]["tool_call_parser"] == "nemotron"
    assert found["model"]["max_batch_size"] == 2
    assert found["model"]["enable_in_flight_batching"] is True
    assert found["model"]["context_cache_config"]["enabled"] is True
