"""docs/pains.md: thirty pains, and everything that the table says holds them is really there."""

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from trt_nemotron import errors
from trt_nemotron.deploy.doctor.registry import CHECKS
from trt_nemotron.facts.catalogue import load_release, release_names

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\[[^\]]+\]\(([^)]+)\)")
REASON = re.compile(r"not held: .{20,}")
FORMS = (
    ("test", re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")),
    ("file", re.compile(r"`(tests/[\w/]+\.yaml)()`")),
    ("doctor", re.compile(r"doctor `([a-z-]+)()`")),
    ("failure", re.compile(r"known failure `([^`]+)()`")),
    ("defect", re.compile(r"defect `([a-z0-9-]+)()`")),
    ("refusal", re.compile(r"exit (\d+) `([^`]+)`")),
)


@dataclass(frozen=True)
class Row:
    number: int
    pain: str
    sources: str
    answer: str
    held: tuple[str, ...]


def rows() -> list[Row]:
    lines = (ROOT / "docs" / "pains.md").read_text().splitlines()
    table = [line for line in lines if re.match(r"\| \d+ \|", line)]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    assert all(len(row) == 5 for row in cells)
    return [Row(int(row[0]), *row[1:4], tuple(row[4].split("; "))) for row in cells]


def parsed(item: str) -> tuple[str, str, str]:
    """Kind and words of one thing that holds a row; a reason in words is of kind `reason`."""
    if REASON.fullmatch(item):
        return "reason", item, ""
    for kind, pattern in FORMS:
        match = pattern.fullmatch(item)
        if match:
            return kind, match[1], match[2]
    raise AssertionError(f"not a form that the table knows: {item}")


ROWS = rows()
HELD = [(row.number, *parsed(item)) for row in ROWS for item in row.held]


def of_kind(kind: str) -> list[tuple[int, str, str]]:
    return [(number, first, second) for number, it, first, second in HELD if it == kind]


@cache
def functions(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


@cache
def sources_of_the_product() -> str:
    return "\n".join(path.read_text() for path in (ROOT / "trt_nemotron").rglob("*.py"))


def test_there_are_thirty_in_their_order():
    assert [row.number for row in ROWS] == list(range(1, 31))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.number))
def test_a_row_has_a_pain_an_answer_and_links_that_are_addresses(row: Row):
    assert len(row.pain) > 20
    assert len(row.answer) > 20
    links = LINK.findall(row.sources)
    assert links
    assert LINK.sub("", row.sources).strip(", ") == ""
    for link in links:
        parts = urlsplit(link)
        assert parts.scheme == "https"
        assert "." in parts.netloc
        assert len(parts.path) > 1
        assert not re.search(r"\s", link)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.number))
def test_something_holds_every_row(row: Row):
    kinds = {parsed(item)[0] for item in row.held}
    assert kinds, row.number
    assert kinds != {"defect"}, "a defect that is only known is no answer"


@pytest.mark.parametrize(("number", "path", "name"), of_kind("test"))
def test_cited_tests_exist(number: int, path: str, name: str):
    assert name in functions(path), number


@pytest.mark.parametrize(("number", "path", "_"), of_kind("file"))
def test_cited_files_exist(number: int, path: str, _: str):
    assert (ROOT / path).is_file(), number


def test_cited_checks_of_the_doctor_exist():
    known = set(CHECKS)
    assert {name for _, name, _ in of_kind("doctor")} <= known


def test_cited_failures_and_defects_are_those_of_releases():
    releases = [load_release("trtllm", name) for name in release_names("trtllm")]
    patterns = [failure.pattern for it in releases for failure in it.known_failures]
    for number, words, _ in of_kind("failure"):
        assert any(words in pattern for pattern in patterns), (number, words)
    defects = {defect.id for it in releases for defect in it.defects}
    assert {name for _, name, _ in of_kind("defect")} <= defects


@pytest.mark.parametrize(("number", "code", "words"), of_kind("refusal"))
def test_cited_refusals_have_their_code_and_words(number: int, code: str, words: str):
    classes = [it for it in vars(errors).values() if isinstance(it, type)]
    codes = {getattr(it, "exit_code", None) for it in classes}
    assert int(code) in codes, number
    assert words in sources_of_the_product(), number


def test_what_the_table_does_not_know_is_refused():
    with pytest.raises(AssertionError, match="not a form"):
        parsed("we will see")
    assert parsed("not held: the files that fill it are not ours")[0] == "reason"
