"""The chat template, rendered with Jinja alone: no tokenizer, no torch."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jinja2
import jinja2.ext
import jinja2.sandbox

TEMPLATE_PATH = Path(__file__).parents[1] / "trt_nemotron" / "embedded" / "chat_template.jinja"

END_OF_TURN = "<|im_end|>"

Message = dict[str, Any]
"""One message in the form of the OpenAI chat API."""


def _to_json(value: object, indent: int | None = None) -> str:
    """JSON as `transformers` writes it in templates: not escaped for HTML, Unicode kept."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


@dataclass(frozen=True)
class ChatTemplate:
    """A Jinja chat template under the rules that `transformers` and llama.cpp share."""

    source: str

    @classmethod
    def read(cls, path: Path = TEMPLATE_PATH) -> "ChatTemplate":
        """The template in the file `path`."""
        return cls(path.read_text(encoding="utf-8"))

    @cached_property
    def _template(self) -> jinja2.Template:
        environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols]
        )
        environment.filters["tojson"] = _to_json
        return environment.from_string(self.source)

    def render(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[dict[str, Any]] = (),
        is_prompt: bool = True,
        **variables: object,
    ) -> str:
        """The text of a conversation.

        Args:
            messages: the conversation so far.
            tools: functions in the form of the OpenAI API; without any, none are declared.
            is_prompt: end with the opening of the assistant's turn.
            variables: `enable_thinking` and `truncate_history_thinking`; left out means default.
        """
        declared = {"tools": list(tools)} if tools else {}
        return self._template.render(
            messages=list(messages), add_generation_prompt=is_prompt, **declared, **variables
        )
