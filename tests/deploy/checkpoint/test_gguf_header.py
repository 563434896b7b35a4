import struct
from pathlib import Path
from types import ModuleType

import gguf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trt_nemotron.deploy.checkpoint.gguf_header import (
    MalformedGguf,
    parse_gguf_header,
    read_gguf_header,
)
from trt_nemotron.errors import CheckpointUnusable


@pytest.fixture(scope="module")
def small(sparse: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "small.gguf"
    return sparse.write_sparse_gguf(path, sparse.TINY, "q8_0")


@pytest.fixture(scope="module")
def small_bytes(small: Path) -> bytes:
    return small.read_bytes()


def string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def file_with(pairs: bytes = b"", count: int = 0, tensors: bytes = b"", tensor_count: int = 0):
    head = b"GGUF" + struct.pack("<IQQ", 3, tensor_count, count)
    return head + pairs + tensors


def tensor(
    name: str = "t", dimensions: tuple[int, ...] = (4,), kind: int = 0, offset: int = 0
) -> bytes:
    counts = struct.pack(f"<I{len(dimensions)}Q", len(dimensions), *dimensions)
    return string(name) + counts + struct.pack("<IQ", kind, offset)


def test_reads_what_the_gguf_package_reads(small: Path):
    ours, theirs = read_gguf_header(small), gguf.GGUFReader(small)
    assert ours.version == 3
    assert ours.data_offset == theirs.data_offset
    assert [(t.name, t.dimensions, t.storage.number, t.size_bytes) for t in ours.tensors] == [
        (t.name, tuple(int(n) for n in t.shape), int(t.tensor_type), t.n_bytes)
        for t in theirs.tensors
    ]
    assert [t.offset + ours.data_offset for t in ours.tensors] == [
        int(t.data_offset) for t in theirs.tensors
    ]
    for key, value in ours.metadata.items():
        contents = theirs.fields[key].contents()
        assert value == (tuple(contents) if isinstance(contents, list) else contents), key


def test_reads_the_real_shape_with_its_whole_vocabulary(real_4b_gguf: Path):
    header = read_gguf_header(real_4b_gguf)
    assert header.array_lengths["tokenizer.ggml.tokens"] == 131072
    assert header.array_lengths["tokenizer.ggml.merges"] == 269443
    assert sum(tensor.elements for tensor in header.tensors) == 3_973_556_832


def test_version_2_is_read_too(small_bytes: bytes):
    assert parse_gguf_header(small_bytes[:4] + b"\x02\0\0\0" + small_bytes[8:]).version == 2


@pytest.mark.parametrize(
    ("data", "evidence"),
    [
        (b"", "ends inside magic number"),
        (b"GG", "ends inside magic number"),
        (b"PK\x03\x04" + b"\0" * 30, "starts with b'PK"),
        (b"GGUF\x01\0\0\0" + b"\0" * 30, "GGUF version 1"),
        (b"GGUF\0\0\0\x03" + b"\0" * 30, "big endian"),
        (b"GGUF\x04\0\0\0" + b"\0" * 30, "GGUF version 4"),
        (file_with(count=2**62), "metadata pairs"),
        (file_with(tensor_count=2**62), "tensor descriptions"),
        (file_with(string("k") + struct.pack("<I", 99) + b"\0" * 9, 1), "value type 99"),
        (file_with(string("k") + struct.pack("<IIQ", 9, 8, 2**61), 1), "more than its"),
        (file_with(string("k") + struct.pack("<IIQQ", 9, 8, 1, 2**63), 1), "ends inside k"),
        (file_with(string("k") + struct.pack("<IIQQ", 9, 8, 1, 9) + b"12345678", 1), "inside k"),
        (file_with(string("k") + struct.pack("<IIQ", 9, 4, 2**61), 1), "more than its"),
        (file_with(2 * (string("k") + struct.pack("<II", 4, 7)), 2), "stands twice"),
        (file_with(struct.pack("<Q", 2**63) + b"k" * 9, 1), "ends inside a metadata key"),
        (file_with(struct.pack("<Q", 2) + b"\xff\xfe" + b"\0" * 20, 1), "not UTF-8"),
        (file_with(tensors=tensor(dimensions=()), tensor_count=1), "0 dimensions"),
        (file_with(tensors=tensor(dimensions=(1,) * 5), tensor_count=1), "5 dimensions"),
        (file_with(tensors=tensor(kind=31), tensor_count=1), "storage type 31"),
        (file_with(tensors=tensor(dimensions=(0,)), tensor_count=1), "has dimensions (0,)"),
        (file_with(tensors=tensor(dimensions=(2**62, 4)), tensor_count=1), "has dimensions"),
        (file_with(tensors=tensor(dimensions=(33,), kind=8), tensor_count=1), "blocks of 32"),
        (file_with(tensors=tensor(), tensor_count=1), "cut short"),
        (file_with(tensors=tensor(offset=8), tensor_count=1) + b"\0" * 90, "not aligned"),
        (file_with(tensors=2 * tensor(), tensor_count=2) + b"\0" * 90, "same name"),
        (file_with(tensors=tensor() + tensor("u"), tensor_count=2) + b"\0" * 90, "overlaps"),
    ],
)
def test_malformed_bytes_are_refused_with_what_was_seen(data: bytes, evidence: str):
    with pytest.raises(MalformedGguf) as caught:
        parse_gguf_header(data)
    assert evidence in str(caught.value)


@pytest.mark.parametrize("alignment", [0, 4, 33, 2**31])
def test_alignment_that_cannot_be_is_refused(alignment: int):
    pairs = string("general.alignment") + struct.pack("<II", 4, alignment)
    with pytest.raises(MalformedGguf, match=r"general\.alignment"):
        parse_gguf_header(file_with(pairs, 1))


def test_own_alignment_is_respected():
    pairs = string("general.alignment") + struct.pack("<II", 4, 128)
    data = file_with(pairs, 1, tensor(), 1)
    header = parse_gguf_header(data + b"\0" * 200)
    assert header.data_offset == 128


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_file_cut_anywhere_is_refused(small_bytes: bytes, data: st.DataObject):
    length = data.draw(st.integers(0, len(small_bytes) - 33))
    with pytest.raises(MalformedGguf):
        parse_gguf_header(small_bytes[:length])


@settings(max_examples=500, deadline=None)
@given(place=st.integers(0, 9000), bits=st.binary(min_size=1, max_size=8))
def test_damaged_header_is_read_or_refused_but_never_breaks(
    small_bytes: bytes, place: int, bits: bytes
):
    damaged = small_bytes[:place] + bits + small_bytes[place + len(bits) :]
    try:
        header = parse_gguf_header(damaged)
    except MalformedGguf:
        return
    assert all(t.offset + t.size_bytes <= len(damaged) for t in header.tensors)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_noise_is_refused(noise: bytes):
    with pytest.raises(MalformedGguf):
        parse_gguf_header(b"GGUF\x03\0\0\0" + noise + b"\xff" * 17)


def test_errors_of_a_file_name_it_and_the_next_step(tmp_path: Path):
    for name, content in (("empty.gguf", b""), ("noise.gguf", b"\1" * 99)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointUnusable, match=name) as caught:
            read_gguf_header(tmp_path / name)
        assert caught.value.evidence
        assert "Download" in caught.value.next_step
    with pytest.raises(CheckpointUnusable, match="cannot read") as caught:
        read_gguf_header(tmp_path / "nothing.gguf")
    assert "No such file" in caught.value.evidence
