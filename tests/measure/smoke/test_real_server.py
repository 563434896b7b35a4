"""The whole suite against llama.cpp's own server with the embedded checkpoint, as users run it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trt_nemotron.measure.smoke.registry import CHECKS
from trt_nemotron.measure.smoke.suite import Case, load_suite
from trt_nemotron.openai.client import Client
from trt_nemotron.openai.request import ChatRequest

pytestmark = pytest.mark.slow

SUITE = load_suite("embedded")


class Tool:
    """The command line with a state folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.environment = os.environ | {"TRT_NEMOTRON_STATE_DIR": str(folder / "state")}

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "trt_nemotron", *arguments],
            env=self.environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Tool, str]]:
    """A tool, and the URL of the server that it started under the name `real`."""
    folder = tmp_path_factory.mktemp("real")
    tool, bundle = Tool(folder), str(folder / "bundle")
    built = tool("build", "--target", "cpu", "--out", bundle)
    assert built.returncode == 0, built.stderr
    started = tool("serve", bundle, "--name", "real", "--detach", "--json")
    assert started.returncode == 0, started.stderr
    try:
        yield tool, json.loads(started.stdout)["url"]
    finally:
        tool("stop", "real")


def test_every_check_passes_three_times_alike(served: tuple[Tool, str]) -> None:
    tool, _ = served
    runs = []
    for _ in range(3):
        done = tool("smoke", "real", "--json")
        assert done.returncode == 0, done.stdout
        runs.append([(r["name"], r["status"]) for r in json.loads(done.stdout)["results"]])
    assert runs[0] == [(name, "pass") for name in CHECKS]
    assert runs[0] == runs[1] == runs[2]


@pytest.mark.parametrize("name", SUITE.cases)
def test_our_client_reads_what_the_openai_client_reads(served: tuple[Tool, str], name: str) -> None:
    _, url = served
    case = SUITE.cases[name]
    whole, streamed = ask_with_openai(url, case)
    client = Client(url)
    request = ChatRequest(
        messages=case.messages,
        max_tokens=case.max_tokens,
        is_thinking_enabled=case.thinking,
        stop=case.stop,
        tools=case.tools,
        json_schema=case.json_schema,
    )
    assert facts(client.chat(request)) == whole
    assert facts(client.stream(request)) == streamed


def facts(answer: Any) -> dict[str, Any]:
    calls = [(call.name, call.arguments) for call in answer.tool_calls]
    usage = answer.usage
    return {
        "content": answer.content,
        "reasoning": answer.reasoning,
        "calls": calls,
        "finish_reason": answer.finish_reason,
        "usage": (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens),
    }


def ask_with_openai(url: str, case: Case) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same question through the `openai` package, whole and streamed."""
    import openai

    body: dict[str, Any] = {
        "model": "any",
        "messages": list(case.messages),
        "max_tokens": case.max_tokens,
        "temperature": 0.0,
        "extra_body": {"chat_template_kwargs": {"enable_thinking": case.thinking}},
    }
    if case.tools:
        body["tools"] = list(case.tools)
    if case.stop:
        body["stop"] = list(case.stop)
    if case.json_schema:
        schema = {"name": "answer", "schema": case.json_schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        whole = client.chat.completions.create(**body)
        chunks = list(
            client.chat.completions.create(
                **body, stream=True, stream_options={"include_usage": True}
            )
        )
    return of_completion(whole), of_chunks(chunks)


def of_completion(completion: Any) -> dict[str, Any]:
    choice = completion.choices[0]
    calls = [(c.function.name, c.function.arguments) for c in choice.message.tool_calls or ()]
    return {
        "content": choice.message.content or "",
        "reasoning": getattr(choice.message, "reasoning_content", None) or "",
        "calls": calls,
        "finish_reason": choice.finish_reason,
        "usage": of_usage(completion.usage),
    }


def of_chunks(chunks: list[Any]) -> dict[str, Any]:
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    calls: dict[int, list[str]] = {}
    for choice in choices:
        for part in choice.delta.tool_calls or ():
            call = calls.setdefault(part.index, ["", ""])
            call[0] += part.function.name or ""
            call[1] += part.function.arguments or ""
    reasoning = [getattr(choice.delta, "reasoning_content", None) or "" for choice in choices]
    return {
        "content": "".join(choice.delta.content or "" for choice in choices),
        "reasoning": "".join(reasoning),
        "calls": [tuple(call) for call in calls.values()],
        "finish_reason": [c.finish_reason for c in choices if c.finish_reason][-1],
        "usage": of_usage(next(chunk.usage for chunk in reversed(chunks) if chunk.usage)),
    }


def of_usage(usage: Any) -> tuple[int, int, int]:
    return usage.prompt_tokens, usage.completion_tokens, usage.total_tokens
