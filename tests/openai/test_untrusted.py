import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.openai.untrusted import read_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(VALUES)
def test_what_was_written_is_read(value: object) -> None:
    assert read_json(msgspec.json.encode(value)) == value


@given(st.binary())
def test_bytes_are_json_or_a_value_error(data: bytes) -> None:
    try:
        read_json(data)
    except ValueError:
        return


@pytest.mark.parametrize(
    "data", [b"[" * 100_000, "[" * 100_000, b'"\xed\xa0\x80"', '"\ud800"', b"", b"{"]
)
def test_whatever_is_wrong_with_it_is_one_error(data: bytes | str) -> None:
    with pytest.raises(ValueError, match=r"JSON|deeply|codec|truncated"):
        read_json(data)
