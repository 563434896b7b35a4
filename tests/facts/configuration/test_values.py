import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.facts.configuration.values import fault_of, nearest_word, number_meant
from trt_nemotron.facts.release import Setting


def setting(kind: str, **said: object) -> Setting:
    return Setting(name="a.key", type=kind, **said)


@given(st.integers(), st.integers(-50, 50), st.integers(0, 100))
def test_whole_number_is_right_exactly_within_its_bounds(value: int, low: int, width: int):
    bounded = setting("int", minimum=low, maximum=low + width)
    assert (fault_of(bounded, value) is None) == (low <= value <= low + width)


@given(st.one_of(st.booleans(), st.text(), st.lists(st.integers()), st.floats(0.1, 0.9)))
def test_nothing_but_a_whole_number_is_one(value: object):
    fault = fault_of(setting("int"), value)
    assert fault is not None
    assert fault[0] == "wrong-type"


@given(st.lists(st.integers(1, 4096)))
def test_list_of_whole_numbers_is_right(value: list[int]):
    assert fault_of(setting("list[int]", minimum=1), value) is None


@given(st.lists(st.integers(1, 9)), st.sampled_from([True, "8", 1.5, 0, None]))
def test_one_wrong_member_spoils_a_list(value: list[object], wrong: object):
    assert fault_of(setting("list[int]", minimum=1), [*value, wrong]) is not None


@given(st.sampled_from(["auto", "float16", "float32"]), st.text(max_size=8))
def test_only_allowed_words_are_right(word: str, other: str):
    allowed = setting("str", allowed=("auto", "float16", "float32"))
    assert fault_of(allowed, word) is None
    assert (fault_of(allowed, other) is None) == (other in {"auto", "float16", "float32"})


@given(
    st.integers(1, 10**6), st.sampled_from([("", 1), ("GiB", 2**30), ("MB", 10**6), ("k", 1000)])
)
def test_number_is_read_out_of_a_word_with_its_unit(value: int, unit: tuple[str, int]):
    assert number_meant(f"{value}{unit[0]}") == value * unit[1]


@pytest.mark.parametrize("text", ["", "many", "8 apples", "1..2", "GiB", "_"])
def test_no_number_is_invented(text: str):
    assert number_meant(text) is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [("bool", True), ("str", "x"), ("float", 3), ("float", 0.5), ("int", 32.0), ("object", {})],
)
def test_right_types_pass(kind: str, value: object):
    assert fault_of(setting(kind), value) is None


def test_null_needs_leave():
    assert fault_of(setting("int"), None) is not None
    assert fault_of(setting("int", is_nullable=True), None) is None


@pytest.mark.parametrize(
    ("value", "is_right"), [("auto", True), (True, True), (False, True), ("sometimes", False)]
)
def test_switch_may_take_a_word_besides(*, value: object, is_right: bool):
    assert (fault_of(setting("bool", allowed=("auto",)), value) is None) == is_right


@pytest.mark.parametrize(
    ("word", "nearest"),
    [("nano_v3", "nano-v3"), ("NANO-V3", "nano-v3"), ("qwen", "qwen3"), ("zebra", "")],
)
def test_nearest_word_looks_past_case_and_separators(word: str, nearest: str):
    assert nearest_word(word, ["nano-v3", "qwen3", "deepseek-r1"]) == nearest
