"""Words of a shell: what a real one makes of them."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trt_nemotron.deploy.starters.shell import shell_lines, shell_word

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)
MARKS = {"/@B@": "bundle", "59999": "port"}
FOLDER = "/a b/it's $(no) `no` \"\\"


def spoken(words: list[str], shell: str = "sh") -> list[str]:
    """The words as a shell hands them on; each ends with a zero."""
    program = f"bundle=$1; port=8123; printf '%s\\0' {' '.join(words)}"
    done = subprocess.run(
        [shell, "-c", program, "sh", FOLDER], capture_output=True, check=True, timeout=30
    )
    return done.stdout.decode().split("\0")[:-1]


@settings(max_examples=20, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=20))
def test_a_word_reaches_its_program_as_it_is(texts: list[str]):
    texts = [text.replace("59999", "") for text in texts]
    assert spoken([shell_word(text, MARKS) for text in texts]) == texts


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=10))
def test_a_mark_becomes_its_value_and_nothing_else_does(pairs: list[tuple[str, str]]):
    texts = [f"{head}/@B@{tail}" for head, tail in pairs]
    expected = [text.replace("59999", "8123").replace("/@B@", FOLDER) for text in texts]
    assert spoken([shell_word(text, MARKS) for text in texts]) == expected


def test_of_two_marks_the_longer_is_meant():
    assert shell_word("/@B@/x", {"/@B": "wrong", "/@B@": "bundle"}) == '"${bundle}/x"'


@pytest.mark.parametrize("shell", ["sh", "dash", "bash"])
def test_lines_are_one_command(shell: str):
    words = ["--name", "a b", "--rm", "--mount", "source=/@B@,ro", "x"]
    lines = shell_lines(words, MARKS)
    assert [line.split()[0] for line in lines] == ["--name", "--rm", "--mount"]
    assert spoken(["\\\n", *(f"{line}\n" for line in lines)], shell)[:3] == [
        "--name",
        "a b",
        "--rm",
    ]
