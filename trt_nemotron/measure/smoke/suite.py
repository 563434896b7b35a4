"""A suite: the questions a model is asked and the answers that are right, as a file.

Each model has its own, so that the checks know of no model. The name of a case says which check
asks it: `tool_call` and `tool_call_boolean` both belong to the check `tool_call`.
"""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import UNSET, UnsetType

from trt_nemotron.document import Document, Value, read_document
from trt_nemotron.errors import InvalidInput

SUITES_FOLDER = Path(__file__).parent / "suites"

CASE_FAMILIES: Mapping[str, tuple[str, ...]] = {
    "completion": ("completion", "system_prompt", "multi_turn", "refusal"),
    "stream_equals": ("stream_equals",),
    "usage": ("usage",),
    "stop_reasons": ("stop_natural", "stop_length", "stop_sequence"),
    "thinking_on": ("thinking_on",),
    "thinking_off": ("thinking_off",),
    "tool_call": ("tool_call", "tool_not_needed"),
    "tool_result": ("tool_result",),
    "unicode_split": ("unicode",),
    "json_schema": ("json_schema",),
}
"""Check -> how the names of its cases begin."""

Positive = Annotated[int, msgspec.Meta(gt=0)]


class TextExpectation(Value, frozen=True, kw_only=True):
    """What a text must be; exactly one is given. Outer white space never counts.

    Attributes:
        equals: the text itself.
        contains: each of these somewhere.
        regex: found somewhere, Python's syntax.
        json: the text is JSON of this value, types included.
    """

    equals: str | None = None
    contains: tuple[str, ...] | None = None
    regex: str | None = None
    empty: bool | None = None
    non_empty: bool | None = None
    json: Any | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Refuse what could never be judged, or would accept everything."""
        others = (self.equals, self.contains, self.regex, self.empty, self.non_empty)
        if sum(given is not None for given in others) + (self.json is not UNSET) != 1:
            raise ValueError("give exactly one of equals, contains, regex, empty, non_empty, json")
        if self.contains == () or self.empty is False or self.non_empty is False:
            raise ValueError(
                "this expectation accepts every text; remove it or say what it must be"
            )
        if self.regex is not None:
            try:
                re.compile(self.regex)
            except re.error as fault:
                raise ValueError(f"not a regular expression: {fault}") from fault


class ToolExpectation(Value, frozen=True, kw_only=True):
    """The one call that must be made; argument values are compared with their JSON types."""

    name: str
    arguments: dict[str, Any]


class Expectation(Value, frozen=True, kw_only=True):
    """What is right; what is not given does not matter."""

    content: TextExpectation | None = None
    reasoning: TextExpectation | None = None
    tool: ToolExpectation | None = None
    finish_reason: str | None = None

    def __post_init__(self) -> None:
        """Refuse a case that nothing could fail."""
        if self.content is None and self.reasoning is None and self.tool is None:
            raise ValueError("expect at least one of content, reasoning and tool")


class Case(Value, frozen=True, kw_only=True):
    """One question and what is right about its answer."""

    messages: Annotated[tuple[dict[str, Any], ...], msgspec.Meta(min_length=1)]
    thinking: bool
    max_tokens: Positive
    expect: Expectation
    tools: tuple[dict[str, Any], ...] = ()
    stop: tuple[str, ...] = ()
    json_schema: dict[str, Any] | None = None


class Sampling(Value, frozen=True, kw_only=True):
    """How tokens are chosen; 0 is greedy."""

    temperature: float = 0.0


class Suite(Document, frozen=True, kw_only=True):
    """All questions for one model; `parallel` are asked at the same time."""

    SCHEMA: ClassVar[str] = "trt-nemotron/smoke-suite/1"

    name: str
    about: str
    cases: dict[str, Case]
    parallel: tuple[Case, ...] = ()
    sampling: Sampling = Sampling()

    def cases_of(self, check: str) -> dict[str, Case]:
        """The cases that a check asks, in the order of the file."""
        return {name: case for name, case in self.cases.items() if owner_of(name) == check}


def owner_of(case_name: str) -> str:
    """The check that asks cases of this name; empty when none does."""
    for check, beginnings in CASE_FAMILIES.items():
        if any(case_name == start or case_name.startswith(f"{start}_") for start in beginnings):
            return check
    return ""


def suite_names() -> tuple[str, ...]:
    """Names of the suites that come with the package."""
    return tuple(sorted(path.stem for path in SUITES_FOLDER.glob("*.yaml")))


def suite_name_for(model: str) -> str:
    """The suite for a served model by its name: its own for the embedded checkpoint, else the 4B's.

    A name is all that an endpoint tells; `--suite` says otherwise.
    """
    return "embedded" if "embedded" in model.lower() else "nemotron-3-nano-4b"


def load_suite(name_or_path: str) -> Suite:
    """A suite by its name, or from a file.

    Raises:
        InvalidInput: no such suite, or a fault in the file, with its place.
    """
    path = Path(name_or_path)
    if name_or_path in suite_names():
        path = SUITES_FOLDER / f"{name_or_path}.yaml"
    elif not path.is_file():
        raise InvalidInput(
            f"there is no suite {name_or_path!r}",
            next_step=f"Choose one of {', '.join(suite_names())}, or name a file.",
        )
    suite = read_document(path, Suite)
    for name in suite.cases:
        _expect_owner(name, path)
    return suite


def _expect_owner(case_name: str, path: Path) -> None:
    """Refuse a case that no check would ask: it would look tested and never be."""
    if owner_of(case_name):
        return
    known = [start for beginnings in CASE_FAMILIES.values() for start in beginnings]
    nearest = difflib.get_close_matches(case_name, known, n=1)
    raise InvalidInput(
        f"no check asks the case {case_name!r}",
        evidence=str(path),
        next_step=f"Did you mean `{nearest[0]}`?"
        if nearest
        else f"Let its name begin with one of: {', '.join(known)}.",
    )
