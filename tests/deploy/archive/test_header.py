"""Headers: what any tar reads, and nothing that any tar may write but us."""

import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trt_nemotron.deploy.archive.header import (
    BLOCK_BYTES,
    Header,
    HeaderUnfit,
    decoded,
    padding,
)

PART = st.text(st.characters(codec="utf-8", exclude_characters="/\x00"), min_size=1, max_size=60)
PATHS = st.lists(PART, min_size=1, max_size=5).map("/".join)
SIZES = st.integers(0, (1 << 63) - 1)
MODES = st.sampled_from([0o644, 0o755])


def other(header: Header, style: int = tarfile.USTAR_FORMAT) -> bytes:
    """The same header, written by Python's tarfile."""
    info = tarfile.TarInfo(header.name)
    info.size, info.mode = header.size_bytes, header.mode
    return info.tobuf(style)


def has_room(path: bytes) -> bool:
    """Whether a header has: whole in its name's field, or with a slash between prefix and name."""
    cuts = (at for at, byte in enumerate(path) if byte == ord("/"))
    return len(path) <= 100 or any(0 < at <= 155 and len(path) - at - 1 <= 100 for at in cuts)


@given(name=PATHS, size_bytes=SIZES, mode=MODES)
@example(name="a" * 100, size_bytes=(1 << 33) - 1, mode=0o644)
@example(name="a" * 155 + "/" + "b" * 100, size_bytes=1 << 33, mode=0o644)
def test_what_is_written_is_read_and_tarfile_agrees(name: str, size_bytes: int, mode: int):
    header = Header(name, size_bytes, mode)
    try:
        block = header.encoded()
    except HeaderUnfit:
        assert not has_room(name.encode())
        return
    assert has_room(name.encode())
    assert len(block) == BLOCK_BYTES
    assert decoded(block) == header
    read = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    assert (read.size, read.mode, read.mtime, read.uid) == (size_bytes, mode, 0, 0)
    assert read.name == name.rstrip("/")
    if size_bytes < 1 << 33 and len(name.encode()) <= 100:
        assert block == other(header)
    assert block[124:136] == other(Header("a", size_bytes, mode), tarfile.GNU_FORMAT)[124:136]


@given(st.binary(min_size=512, max_size=512))
def test_no_block_crashes_the_reader(block: bytes):
    with pytest.raises(HeaderUnfit):
        decoded(block)


@given(position=st.integers(0, 511), bit=st.integers(0, 7))
def test_no_bit_of_a_header_may_change_unseen(position: int, bit: int):
    block = bytearray(Header("b/manifest.json", 1234, 0o644).encoded())
    block[position] ^= 1 << bit
    try:
        found = decoded(bytes(block))
    except HeaderUnfit:
        return
    raise AssertionError(found)


@pytest.mark.parametrize(
    "kind",
    [b"\x00", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"x", b"g", b"L", b"K", b"S"],
    ids=repr,
)
def test_only_plain_files_are_read(kind: bytes):
    info = tarfile.TarInfo("name")
    info.type, info.linkname = kind, "/etc/passwd"
    with pytest.raises(HeaderUnfit, match="only plain files"):
        decoded(info.tobuf(tarfile.USTAR_FORMAT))


@pytest.mark.parametrize("field", ["mtime", "uid", "gid", "uname"])
def test_what_another_tar_would_write_is_not_ours(field: str):
    info = tarfile.TarInfo("name")
    setattr(info, field, "root" if field == "uname" else 7)
    with pytest.raises(HeaderUnfit, match="not as it is written here"):
        decoded(info.tobuf(tarfile.USTAR_FORMAT))


@pytest.mark.parametrize("field", ["-1", "+1", "1_0"])
def test_a_number_has_nothing_but_digits(field: str):
    block = Header("a", 0, 0o644).encoded()
    forged = block.replace(b"%011o\x00" % 0, field.rjust(11, "0").encode() + b"\x00", 1)
    total = sum(forged) - sum(block[148:156]) + 8 * ord(" ")
    with pytest.raises(HeaderUnfit, match="cannot be read"):
        decoded(forged[:148] + b"%06o\x00 " % total + forged[156:])


def test_a_compressed_file_and_an_early_end_are_told_apart():
    with pytest.raises(HeaderUnfit, match="compressed"):
        decoded(b"\x28\xb5\x2f\xfd" + bytes(508))
    with pytest.raises(HeaderUnfit, match="ends where"):
        decoded(bytes(512))
    with pytest.raises(HeaderUnfit, match="in the middle"):
        decoded(bytes(100))


def test_a_path_that_no_header_has_room_for_is_said():
    for name in ("x" * 101, "a/" + "x" * 101, "x" * 156 + "/y"):
        with pytest.raises(HeaderUnfit, match="too long"):
            Header(name, 0, 0o644).encoded()


@given(st.integers(0, 1 << 40))
def test_padding_fills_up_to_whole_blocks(size_bytes: int):
    assert (size_bytes + padding(size_bytes)) % BLOCK_BYTES == 0
    assert 0 <= padding(size_bytes) < BLOCK_BYTES


def test_gnu_tar_reads_a_size_beyond_the_octal_field(tmp_path: Path):
    archive = tmp_path / "large.tar"
    size_bytes = (8 << 30) + 3
    with archive.open("wb") as file:
        file.write(Header("large", size_bytes, 0o644).encoded())
        file.truncate(512 + size_bytes + padding(size_bytes) + 1024)
    listed = subprocess.run(
        ["tar", "-tvf", str(archive)], capture_output=True, text=True, check=True, timeout=60
    )
    assert str(size_bytes) in listed.stdout
