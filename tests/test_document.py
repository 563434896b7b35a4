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


@pytest.mark.parametrize(("name", "data"), [("c.json", b"[" * 100_000), ("c.yaml", b"[" * 100_000)])
def test_document_nested_without_end_is_refused_and_crashes_nothing(
    name: str, data: bytes, tmp_path: Path
):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InvalidInput, match="not valid") as caught:
        read_document(tmp_path / name, Cart)
    assert caught.value.next_step


def test_link_is_followed_not_replaced(tmp_path: Path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_what_is_no_plain_file_is_written_to_not_replaced(tmp_path: Path):
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    write_atomically(fifo, b"through")
    assert os.read(reader, 64) == b"through"
    os.close(reader)
    assert fifo.is_fifo()


def test_name_may_be_as_long_as_the_system_allows(tmp_path: Path):
    path = tmp_path / ("n" * 255)
    write_atomically(path, b"data")
    assert path.read_bytes() == b"data"


def test_written_file_can_be_read_by_others(tmp_path: Path):
    write_atomically(tmp_path / "cart.json", b"{}")
    assert (tmp_path / "cart.json").stat().st_mode & 0o777 == 0o644


def test_order_of_keys_in_a_mapping_changes_no_byte():
    assert to_json({"b": 1, "a": {"d": 1, "c": 2}}) == to_json({"a": {"c": 2, "d": 1}, "b": 1})


def test_date_in_yaml_stays_text_and_a_merged_mapping_is_no_repetition(tmp_path: Path):
    path = tmp_path / "cart.yaml"
    path.write_text(
        "schema: test/cart/1\nowner: 2026-11-23\n"
        "wheels:\n  - &wheel {spokes: 8}\n  - {<<: *wheel}\n  - {<<: *wheel, spokes: 9}\n"
    )
    cart = read_document(path, Cart)
    assert cart.owner == "2026-11-23"
    assert [wheel.spokes for wheel in cart.wheels] == [8, 8, 9]


def test_another_kind_of_document_is_called_that_whatever_its_keys():
    with pytest.raises(InvalidInput, match=r"x\.json is another document") as caught:
        parse_document(b'{"schema": "trt-nemotron/verdict/1"}', Cart, origin="x.json")
    assert "'trt-nemotron/verdict/1'" in caught.value.evidence
    assert Cart.SCHEMA in caught.value.evidence


def test_a_write_that_fails_names_the_file_that_was_asked_for(tmp_path: Path):
    with pytest.raises(OSError, match="no such folder") as caught:
        write_atomically(Path("/proc/no such folder"), b"x")
    assert caught.value.filename == "/proc/no such folder"
