import os
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_nemotron.document import (
    Document,
    Value,
    parse_document,
    read_document,
    sha256_of,
    to_json,
    write_atomically,
    write_document,
)
from trt_nemotron.errors import InvalidInput


class Wheel(Value, frozen=True, kw_only=True):
    spokes: int


class Cart(Document, frozen=True, kw_only=True):
    SCHEMA: ClassVar[str] = "test/cart/1"
    wheels: tuple[Wheel, ...] = ()
    owner: str = ""


def test_value_survives_being_written_and_read(tmp_path: Path):
    cart = Cart(wheels=(Wheel(spokes=8),), owner="Ada")
    for name in ("cart.json", "cart.yaml"):
        write_document(tmp_path / name, cart)
        assert read_document(tmp_path / name, Cart) == cart


@given(owner=st.text(), spokes=st.lists(st.integers(-(2**62), 2**62)))
def test_same_value_gives_the_same_bytes_and_reads_back(owner: str, spokes: list[int]):
    cart = Cart(owner=owner, wheels=tuple(Wheel(spokes=count) for count in spokes))
    assert to_json(cart) == to_json(parse_document(to_json(cart), Cart, origin="test"))
    assert sha256_of(cart) == sha256_of(msgspec.structs.replace(cart))


def test_unknown_key_is_refused_with_the_nearest_known_one():
    with pytest.raises(InvalidInput, match="spoeks") as caught:
        parse_document(b'{"wheels": [{"spoeks": 8}]}', Cart, origin="cart.json")
    assert "Did you mean `spokes`?" in caught.value.next_step


def test_wrong_type_is_refused_with_its_place():
    with pytest.raises(InvalidInput) as caught:
        parse_document(b'{"wheels": [{"spokes": "eight"}]}', Cart, origin="cart.json")
    assert "$.wheels[0].spokes" in caught.value.evidence


def test_document_of_another_version_is_refused():
    with pytest.raises(InvalidInput) as caught:
        parse_document(b'{"schema": "test/cart/2"}', Cart, origin="cart.json")
    assert "test/cart/2" in caught.value.evidence


@pytest.mark.parametrize("data", [b"", b"{", b"[1, 2", b"\xff\xfe", b"null", b"[]", b'"text"'])
def test_bytes_that_are_no_document_are_refused(data: bytes):
    with pytest.raises(InvalidInput):
        parse_document(data, Cart, origin="cart.json")


def test_key_given_twice_in_yaml_is_refused(tmp_path: Path):
    (tmp_path / "cart.yaml").write_text("schema: test/cart/1\nowner: Ada\nowner: Bob\n")
    with pytest.raises(InvalidInput) as caught:
        read_document(tmp_path / "cart.yaml", Cart)
    assert "owner" in str(caught.value)


def test_missing_file_is_refused_by_name(tmp_path: Path):
    with pytest.raises(InvalidInput, match="nowhere"):
        read_document(tmp_path / "nowhere.json", Cart)


def test_failed_write_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "cart.json"
    write_atomically(path, b"old")

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["cart.json"]
