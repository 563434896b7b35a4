from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.smoke.registry import CHECKS
from trt_nemotron.measure.smoke.suite import (
    CASE_FAMILIES,
    SUITES_FOLDER,
    Suite,
    load_suite,
    owner_of,
    suite_name_for,
    suite_names,
)

CASE: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Hi"}],
    "thinking": False,
    "max_tokens": 8,
    "expect": {"content": {"equals": "Hello"}},
}


def write(folder: Path, **changes: Any) -> str:
    tree = {
        "schema": "trt-nemotron/smoke-suite/1",
        "name": "mine",
        "about": "for a test",
        "cases": {"completion": CASE},
    }
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(tree | changes))
    return str(path)


def with_case(**changes: Any) -> dict[str, Any]:
    return {"completion": CASE | changes}


def test_the_suites_that_come_along() -> None:
    assert suite_names() == ("embedded", "nemotron-3-nano-4b")


@pytest.mark.parametrize("name", ["embedded", "nemotron-3-nano-4b"])
def test_a_suite_that_comes_along_has_cases_for_every_check(name: str) -> None:
    suite = load_suite(name)
    assert suite.name == name
    assert all(suite.cases_of(check) for check in CASE_FAMILIES)
    assert len(suite.parallel) == 4
    assert {case.expect.finish_reason for case in suite.cases_of("stop_reasons").values()} >= {
        "stop",
        "length",
    }


@pytest.mark.parametrize("name", ["embedded", "nemotron-3-nano-4b"])
def test_the_schemas_and_tools_of_a_suite_are_themselves_valid(name: str) -> None:
    for case in load_suite(name).cases.values():
        if case.json_schema is not None:
            jsonschema.Draft202012Validator.check_schema(case.json_schema)
        tools = {tool["function"]["name"]: tool["function"]["parameters"] for tool in case.tools}
        if case.expect.tool is not None:
            jsonschema.validate(case.expect.tool.arguments, tools[case.expect.tool.name])


def test_the_embedded_suite_is_judged_word_for_word() -> None:
    suite = load_suite("embedded")
    assert suite.sampling.temperature == 0
    for name in suite.cases_of("completion"):
        content = suite.cases[name].expect.content
        assert content is not None
        assert content.equals


def test_every_family_belongs_to_a_check() -> None:
    assert CASE_FAMILIES.keys() <= CHECKS.keys()


@pytest.mark.parametrize(
    ("case", "check"),
    [
        ("completion", "completion"),
        ("completion_french", "completion"),
        ("tool_call_boolean", "tool_call"),
        ("tool_not_needed", "tool_call"),
        ("stop_sequence", "stop_reasons"),
        ("unicode_emoji", "unicode_split"),
        ("completions", ""),
        ("poetry", ""),
    ],
)
def test_a_case_belongs_to_a_check_by_its_name(case: str, check: str) -> None:
    assert owner_of(case) == check


@pytest.mark.parametrize(
    ("model", "suite"),
    [
        ("trt-nemotron-embedded", "embedded"),
        ("NVIDIA-Nemotron-3-Nano-4B", "nemotron-3-nano-4b"),
        ("", "nemotron-3-nano-4b"),
    ],
)
def test_the_suite_follows_from_the_model(model: str, suite: str) -> None:
    assert suite_name_for(model) == suite


def test_a_file_of_one_s_own(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path))
    assert isinstance(suite, Suite)
    assert list(suite.cases) == ["completion"]


def test_no_such_suite_names_those_there_are() -> None:
    with pytest.raises(InvalidInput, match="embedded, nemotron-3-nano-4b"):
        load_suite("nemotron")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cases": {"complesion": CASE}}, "Did you mean `completion`"),
        ({"cases": {"xyz": CASE}}, "no check asks the case 'xyz'"),
        ({"cases": with_case(thinkin=True)}, "Did you mean `thinking`"),
        ({"cases": with_case(max_tokens=0)}, "max_tokens"),
        ({"cases": with_case(messages=[])}, "messages"),
        ({"cases": with_case(expect={})}, "at least one of"),
        ({"cases": with_case(expect={"content": {}})}, "exactly one"),
        ({"cases": with_case(expect={"content": {"equals": "a", "regex": "b"}})}, "exactly one"),
        ({"cases": with_case(expect={"content": {"regex": "("}})}, "not a regular expression"),
        ({"cases": with_case(expect={"content": {"empty": False}})}, "accepts every text"),
        ({"cases": with_case(expect={"content": {"contains": []}})}, "accepts every text"),
        ({"cases": with_case(expect={"finish_reason": "stop"})}, "at least one of"),
        ({"schema": "trt-nemotron/smoke-suite/2"}, "of another version"),
        ({"sampling": {"temprature": 1.0}}, "Did you mean `temperature`"),
    ],
)
def test_a_fault_in_a_suite_is_told_with_its_place(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        load_suite(write(tmp_path, **changes))


def test_every_suite_in_the_folder_can_be_read() -> None:
    assert [load_suite(path.stem).name for path in sorted(SUITES_FOLDER.glob("*.yaml"))] == list(
        suite_names()
    )
