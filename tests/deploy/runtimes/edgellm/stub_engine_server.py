"""Edge-LLM's real server over a stub engine: everything above the engine is NVIDIA's, it is not.

    PYTHON stub_engine_server.py CONFIG.json OPTION...

Run as a file by the interpreter of Edge-LLM's environment, with the options of
tensorrt-edgellm-serve. Parsing of options, admission, validation, parsers of thoughts and tools,
streaming and the HTTP application are those of the wheel. In place of the TensorRT engine
Transformers computes greedily, on the processor, without a cache and without guided decoding; so
nothing is said here of the engine's answers or speed. CONFIG.json is the engine's configuration as
it was foretold.
"""

import json
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from experimental.server.api.app import run_http_server
from experimental.server.config import parse_server_config
from experimental.server.runtime.engine import LLM, StreamDelta, _convert_messages_to_cpp
from experimental.server.runtime.engine_client import EngineClient
from experimental.server.runtime.engine_layout import inspect_bundle
from transformers import AutoModelForCausalLM, AutoTokenizer


class Generation:
    """One request: its prompt, its limits, and whether it was cancelled."""

    def __init__(self, tokens: list[int], params: Any) -> None:
        self.prompt = tokens
        self.params = params
        self.reason = "length"
        self.is_cancelled = threading.Event()

    def cancel(self) -> None:
        """As the handle of a native request."""
        self.is_cancelled.set()


class StubEngine(LLM):  # type: ignore[misc]
    """What the real client asks of the real class, without its native runtime."""

    model_dir = bundle_dir = model_id = ""
    bundle_layout: Any = None
    has_draft_model = video_capable = context_cache_enabled = False
    runtime_kind = "chat"

    def __init__(self, model: Any, bundle: Path) -> None:
        self._model_dir = self.model_dir = model.model
        self.bundle_dir = str(bundle)
        self.bundle_layout = inspect_bundle(str(bundle))
        self._engine = self if model.enable_in_flight_batching else None
        self._max_batch_size = model.max_batch_size
        self._rt = SimpleNamespace(
            Message=SimpleNamespace, MessageToolCall=SimpleNamespace, MessageContent=_Content
        )
        self._tokenizer = AutoTokenizer.from_pretrained(model.model)
        self._network = AutoModelForCausalLM.from_pretrained(model.model, dtype=torch.float32)
        self._known: dict[tuple[int, ...], int] = {}
        self._ends = {self._tokenizer.eos_token_id, *_listed(self._network.config.eos_token_id)}

    def _make_generation_request(
        self, messages: list[dict[str, Any]], params: Any, *, tools: Any = None, **_: Any
    ) -> Generation:
        _convert_messages_to_cpp(self._rt, messages)  # which refuses what the real one refuses
        text = self._tokenizer.apply_chat_template(
            [_with_arguments(it) for it in messages],
            tools=tools or None,
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=params.enable_thinking,
        )
        tokens = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return Generation(tokens, params)

    def _complete_prepared_request(
        self,
        request: Generation,
        _params: Any,
        tool_config: Any,
        *,
        tool_parser: str = "auto",
        reasoning_parser: str = "none",
        on_handle: Any = None,
    ) -> Any:
        if on_handle is not None:
            on_handle(request)
        pieces = list(self._pieces(request))
        return self._parse_generation_output(
            "".join(text for text, _ in pieces), [token for _, token in pieces],
            len(request.prompt), request.reason, tool_config,
            tool_parser=tool_parser, reasoning_parser=reasoning_parser,
        )  # fmt: skip

    def generate_stream(
        self, _messages: Any, _params: Any = None, *, prebuilt_request: Generation, **_: Any
    ) -> Iterator[StreamDelta]:
        request, count = prebuilt_request, len(prebuilt_request.prompt)
        try:
            for text, token in self._pieces(request):
                yield StreamDelta(text=text, token_ids=[token], prompt_tokens=count)
            yield StreamDelta(finished=True, finish_reason=request.reason, prompt_tokens=count)
        finally:
            request.cancel()

    def _pieces(self, request: Generation) -> Iterator[tuple[str, int]]:
        """Text and token, a pair each; the text that stops an answer is not part of it."""
        made: list[int] = []
        shown = ""
        for _ in range(request.params.max_tokens):
            if request.is_cancelled.is_set():
                return
            token = self._next([*request.prompt, *made])
            if token in self._ends:
                request.reason = "stop"
                yield "", token
                return
            made.append(token)
            text = self._tokenizer.decode(
                made, skip_special_tokens=request.params.skip_special_tokens
            )
            cut = [text.find(it) for it in request.params.stop if it in text]
            if cut:
                request.reason = "stop"
                yield text[len(shown) : min(cut)], token
                return
            held = max((_begun(text, it) for it in request.params.stop), default=0)
            ready = text[: len(text) - held].rstrip("\ufffd")
            yield ready[len(shown) :], token
            shown = max(ready, shown, key=len)

    def _next(self, tokens: list[int]) -> int:
        known = self._known.get(tuple(tokens))
        if known is None:
            with torch.inference_mode():
                logits = self._network(torch.tensor([tokens]), use_cache=False).logits[0, -1]
            known = self._known[tuple(tokens)] = int(logits.argmax())
        return known

    def get_scheduling_metrics(self) -> None:
        """There is no scheduler to count."""

    def close(self) -> None:
        """There is nothing to close."""


class _Content(SimpleNamespace):
    """In place of the native value."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(kind=kind, text=text)


def _with_arguments(message: dict[str, Any]) -> dict[str, Any]:
    """The message as chat templates take it: arguments of calls as an object, not as text."""
    calls = [
        {**call, "function": {**call["function"], "arguments": _object(call["function"])}}
        for call in message.get("tool_calls") or []
    ]
    return {**message, "tool_calls": calls} if calls else message


def _object(function: dict[str, Any]) -> Any:
    said = function.get("arguments") or "{}"
    return json.loads(said) if isinstance(said, str) else said


def _begun(text: str, stop: str) -> int:
    """How many characters at the end of `text` may begin `stop`."""
    return max((n for n in range(1, len(stop)) if text.endswith(stop[:n])), default=0)


def _listed(value: Any) -> list[int]:
    return value if isinstance(value, list) else [value]


def main() -> None:
    """Serve until SIGTERM."""
    config, *options = sys.argv[1:]
    parsed = parse_server_config(options)
    key = os.environ.get("EDGELLM_API_KEY")
    if key:
        parsed = parse_server_config([*options, "--api-key", key])
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copyfile(config, Path(scratch) / "config.json")
        (Path(scratch) / "llm.engine").touch()  # its name is what a bundle is known by
        engine = StubEngine(parsed.model, Path(scratch))
        run_http_server(EngineClient(engine, parsed.api), parsed.api)


if __name__ == "__main__":
    main()
