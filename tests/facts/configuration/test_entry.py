import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.errors import InvalidInput
from trt_nemotron.facts.configuration.entry import Entry, Written, read_yaml, with_assignments

words = st.text("abcdefgh_", min_size=1, max_size=6)
trees = st.recursive(
    st.one_of(
        st.integers(), st.booleans(), words.map(lambda it: f"w{it}"), st.lists(st.integers())
    ),
    lambda inner: st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


def flat(tree: dict[str, object], prefix: str = "") -> dict[str, object]:
    """A second way to the same: leaves of a tree by their dotted path."""
    found: dict[str, object] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


@given(st.dictionaries(words, trees, max_size=4))
def test_every_leaf_is_found_once_with_its_value(tree: dict[str, object]):
    written = read_yaml(yaml.safe_dump(tree).encode(), "a file")
    assert {entry.path: entry.value for entry in written.entries} == flat(tree)
    assert not written.repeated


@given(st.dictionaries(words, trees, max_size=4))
def test_lines_are_where_the_keys_stand(tree: dict[str, object]):
    text = yaml.safe_dump(tree)
    lines = text.splitlines()
    for entry in read_yaml(text.encode(), "a file").entries:
        assert entry.path.rpartition(".")[2] in lines[entry.line - 1]


def test_empty_file_says_nothing():
    assert read_yaml(b"", "a file").entries == ()
    assert read_yaml(b"# only a comment\n", "a file").entries == ()


@pytest.mark.parametrize(
    "text", [b"- 1\n", b"word\n", b"a: [1\n", b"a: b: c\n", b"\xff\xfe\x00a", b"\t"]
)
def test_what_is_no_mapping_is_refused_with_its_name(text: bytes):
    with pytest.raises(InvalidInput, match=r"my\.yaml"):
        read_yaml(text, "my.yaml")


def test_a_mapping_that_contains_itself_is_refused():
    with pytest.raises(InvalidInput, match=r"x\.yaml holds a mapping that contains itself"):
        read_yaml(b"a: &a\n  b: *a\n", "x.yaml")


def test_code_in_a_file_is_not_run():
    with pytest.raises(InvalidInput):
        read_yaml(b"a: !!python/object/apply:os.getcwd []\n", "a file")


def test_repeated_keys_are_told_and_merges_are_not():
    written = read_yaml(b"a: 1\nb:\n  c: 1\n  c: 2\na: 3\n", "a file")
    assert [(it.path, it.line) for it in written.repeated] == [("a", 5), ("b.c", 4)]
    merged = read_yaml(b"x: &x {k: 1}\ny:\n  <<: *x\n  k: 2\n", "a file")
    assert not merged.repeated
    assert {it.path: it.value for it in merged.entries}["y.k"] == 2


def test_assignment_replaces_what_the_file_says():
    written = with_assignments(read_yaml(b"a:\n  b: 1\n", "a file"), ["a.b=2", "c=[1, 2]"])
    assert written.entries == (Entry("a.b", 2), Entry("c", [1, 2]))


@pytest.mark.parametrize("text", ["a.b", "=1", "a=[1"])
def test_assignment_that_cannot_be_read_is_refused(text: str):
    with pytest.raises(InvalidInput):
        with_assignments(read_yaml(b"", "a file"), [text])


@pytest.mark.parametrize(
    "data", [b"\x00\x01\x02", b"\xff\xfe\x00", b"[" * 100_000, b"a: " + b"{b: " * 5_000]
)
def test_bytes_that_are_no_yaml_are_refused_without_a_crash(data: bytes):
    with pytest.raises(InvalidInput):
        read_yaml(data, "wrong.yaml")


def test_assignment_nested_without_end_is_refused():
    with pytest.raises(InvalidInput):
        with_assignments(Written(), ["a.b=" + "[" * 100_000])
