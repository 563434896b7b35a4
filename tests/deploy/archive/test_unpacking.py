"""Unpacking: what was packed, or nothing at all."""

import io
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from trt_nemotron.deploy.archive.header import BLOCK_BYTES, Header, padding
from trt_nemotron.deploy.archive.packing import pack_bundle
from trt_nemotron.deploy.archive.unpacking import Unpacked, foresee_unpacking, unpack_bundle
from trt_nemotron.deploy.bundle.names import mode_of
from trt_nemotron.deploy.bundle.reader import read_bundle, verify_bundle
from trt_nemotron.deploy.bundle.values import MANIFEST_NAME, BundleFile
from trt_nemotron.errors import BundleDamaged, EnvironmentUnfit, InvalidInput

MakeManifest = Callable[..., bytes]


@pytest.fixture(scope="session")
def archive(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle, packed; not to be changed by a test."""
    out = tmp_path_factory.mktemp("archive") / "b.tar"
    pack_bundle(bundle, out)
    return out


class Pipe(io.BytesIO):
    """Bytes that come once, from the beginning, as from a pipe: their length is not known."""

    def seekable(self) -> bool:
        return False


def unpacked(archive: Path, out: Path | None = None, **options: bool) -> Unpacked:
    with archive.open("rb") as file:
        return unpack_bundle(file, out, **options)


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_mode & 0o777, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_bundle_comes_back_as_it_was(archive: Path, bundle: Path, tmp_path: Path):
    old_umask = os.umask(0o077)
    try:
        done = unpacked(archive, tmp_path / "new" / "out")
    finally:
        os.umask(old_umask)
    out = tmp_path / "new" / "out"
    assert (done.bundle, done.action, done.is_verified) == (str(out), "unpack", True)
    assert contents(out) == contents(bundle)
    assert {path.stat().st_mode & 0o777 for path in out.rglob("*") if path.is_dir()} == {0o755}
    assert verify_bundle(out) == done.manifest
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_packed_again_it_gives_the_same_archive(archive: Path, tmp_path: Path):
    unpacked(archive, tmp_path / "out")
    pack_bundle(tmp_path / "out", tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == archive.read_bytes()


def test_it_comes_through_a_pipe(archive: Path, tmp_path: Path):
    with subprocess.Popen(["cat", str(archive)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        unpack_bundle(process.stdout, tmp_path / "out")
    verify_bundle(tmp_path / "out")


def test_without_a_place_it_goes_where_build_would_put_it(
    archive: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    unpacked(archive)
    verify_bundle(tmp_path / "bundles" / read_bundle(bundle)[0].name)


def test_foreseeing_reads_the_beginning_only_and_changes_nothing(archive: Path, tmp_path: Path):
    with archive.open("rb") as file:
        foreseen = foresee_unpacking(file, tmp_path / "out")
        assert file.tell() < 10_000
    assert (foreseen.action, foreseen.is_verified) == ("unpack", False)
    assert not list(tmp_path.iterdir())


def test_the_same_bundle_is_kept_and_a_damaged_one_replaced_by_force(archive: Path, tmp_path: Path):
    out = tmp_path / "out"
    unpacked(archive, out)
    before = (out / "plan.json").stat().st_ino
    assert unpacked(archive, out).action == "keep"
    assert (out / "plan.json").stat().st_ino == before
    (out / "plan.json").write_text("{}")
    with pytest.raises(InvalidInput, match="another bundle"):
        unpacked(archive, out)
    assert unpacked(archive, out, force=True).action == "unpack"
    verify_bundle(out)


def test_a_link_to_the_same_bundle_is_not_the_bundle(archive: Path, tmp_path: Path):
    unpacked(archive, tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(InvalidInput):
        unpacked(archive, tmp_path / "link")
    verify_bundle(tmp_path / "real")


def test_what_is_not_ours_is_left_alone_even_by_force(archive: Path, tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InvalidInput, match="no bundle of ours"):
        unpacked(archive, tmp_path, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_too_little_space_is_said_before_anything_is_written(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(EnvironmentUnfit, match="not enough disk space"):
        unpacked(archive, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def altered(archive: Path, out: Path, at: int) -> Path:
    data = bytearray(archive.read_bytes())
    data[at] ^= 1
    out.write_bytes(data)
    return out


def test_no_byte_of_an_archive_may_change_unseen(archive: Path, tmp_path: Path):
    """One of each kind: headers, manifest, contents, the zeros between, the end."""
    size = archive.stat().st_size
    places = {*range(0, size, 4001), *range(0, 5000, 97), *range(size - 10240, size, 511), size - 1}
    for at in sorted(places):
        with pytest.raises(BundleDamaged):
            unpacked(altered(archive, tmp_path / "x.tar", at), tmp_path / "out")
        (tmp_path / "x.tar").unlink()
        assert not list(tmp_path.iterdir()), at


@pytest.mark.parametrize("is_piped", [False, True])
def test_an_archive_that_was_cut_short_is_refused_wherever(
    archive: Path, tmp_path: Path, is_piped: bool
):
    data = archive.read_bytes()
    for length in (0, 100, 511, 512, 2000, len(data) // 2, len(data) - 10240, len(data) - 1):
        cut = tmp_path / "cut.tar"
        cut.write_bytes(data[:length])
        source: IO[bytes] = cut.open("rb")
        if is_piped:
            source.close()
            source = Pipe(data[:length])
        with source, pytest.raises(BundleDamaged):
            unpack_bundle(source, tmp_path / "out")
        cut.unlink()
        assert not list(tmp_path.iterdir()), length


def test_a_file_of_another_length_is_refused_before_anything_is_written(
    archive: Path, tmp_path: Path
):
    (tmp_path / "x.tar").write_bytes(archive.read_bytes()[:-10240])
    with (
        pytest.raises(BundleDamaged, match="bytes instead of"),
        (tmp_path / "x.tar").open("rb") as file,
    ):
        foresee_unpacking(file, tmp_path / "out")


def test_what_follows_the_end_is_refused(archive: Path, tmp_path: Path):
    for more in (b"\x00", b"\x00" * 10240, b"x", archive.read_bytes()):
        source = Pipe(archive.read_bytes() + more)
        with pytest.raises(BundleDamaged, match="follows its end"):
            unpack_bundle(source, tmp_path / "out")
        assert not list(tmp_path.iterdir())


def test_unhashed_contents_are_not_called_verified_and_are_found_later(
    archive: Path, tmp_path: Path
):
    data = archive.read_bytes()
    at = data.index(b"kv_cache_config")
    with altered(archive, tmp_path / "x.tar", at).open("rb") as file:
        done = unpack_bundle(file, tmp_path / "out", is_verified=False)
    assert not done.is_verified
    with pytest.raises(BundleDamaged, match=r"config\.yaml"):
        verify_bundle(tmp_path / "out")


# What somebody might make on purpose.


def forged(manifest: bytes, entries: list[tuple[str, bytes]], name: str = "evil") -> Pipe:
    """An archive with this manifest and these entries, each with a header that is in order."""
    out = io.BytesIO()
    for path, data in [(f"{name}/manifest.json", manifest), *entries]:
        out.write(Header(path, len(data), mode_of(path.partition("/")[2])).encoded())
        out.write(data + bytes(padding(len(data))))
    out.write(bytes(1024))
    out.write(bytes(padding(out.tell(), 10240)))
    return Pipe(out.getvalue())


@pytest.mark.parametrize(
    "path",
    [
        "/etc/cron.d/x", "../outside", "a/../../outside", "a/./b", "a//b", ".", "", "a\\b", "a\nb",
        "a\x1bb", "model/..", "manifest.json", "Manifest.JSON", "manifest.json/x",
    ],
    ids=repr,
)  # fmt: skip
def test_a_path_that_leads_elsewhere_is_refused(
    make_manifest: MakeManifest, tmp_path: Path, path: str
):
    manifest = make_manifest({path: b"x"})
    with pytest.raises(BundleDamaged, match="the manifest names"):
        unpack_bundle(forged(manifest, [(f"evil/{path}", b"x")]), tmp_path / "in" / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "paths",
    [("model/A", "model/a"), ("é", "e\u0301"), ("STRASSE", "straße"), ("a", "a/b"), ("A", "a/b")],
    ids=repr,
)
def test_paths_that_some_file_system_takes_for_one_are_refused(
    make_manifest: MakeManifest, tmp_path: Path, paths: tuple[str, str]
):
    manifest = make_manifest(dict.fromkeys(paths, b"x"))
    entries = [(f"evil/{path}", b"x") for path in paths]
    with pytest.raises(BundleDamaged, match="the manifest names"):
        unpack_bundle(forged(manifest, entries), tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "entries",
    [
        [("evil/a", b"a")],
        [("evil/a", b"a"), ("evil/b", b"b"), ("evil/c", b"c")],
        [("evil/a", b"a"), ("evil/a", b"a")],
        [("evil/b", b"b"), ("evil/a", b"a")],
        [("evil/a", b"a"), ("evil/b", b"bb")],
        [("evil/a", b"a"), ("evil/b", b"b\0")],
        [("evil/a", b"a"), ("evil/b", b"")],
        [("evil/a", b"a"), ("evil/b", b"x")],
        [("evil/a", b"a"), ("other/b", b"b")],
        [("evil/a", b"a"), ("../b", b"b")],
        [("evil/a", b"a"), ("/b", b"b")],
    ],
    ids=[
        "one missing", "one more", "one twice", "another order", "longer", "longer by a zero",
        "shorter", "another content", "another folder", "a way out", "an absolute path",
    ],
)  # fmt: skip
def test_entries_that_the_manifest_does_not_list_so_are_refused(
    make_manifest: MakeManifest, tmp_path: Path, entries: list[tuple[str, bytes]]
):
    manifest = make_manifest({"a": b"a", "b": b"b"})
    with pytest.raises(BundleDamaged, match="not an archive of a whole bundle"):
        unpack_bundle(forged(manifest, entries), tmp_path / "in" / "out")
    assert not list((tmp_path / "in").iterdir())
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize(
    "name", ["..", ".", "a/b", "/abs", "-rf", "", "a\x00b", "a\x1b[2J"], ids=repr
)
def test_a_bundles_name_that_is_no_folders_is_refused(
    make_manifest: MakeManifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    monkeypatch.chdir(tmp_path)
    manifest = make_manifest({"a": b"a"}, name=name)
    with pytest.raises(BundleDamaged):
        unpack_bundle(forged(manifest, [(f"{name}/a", b"a")], name=name))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", [0o755, 0o4644, 0o600])
def test_a_mode_that_is_not_ours_is_refused(make_manifest: MakeManifest, tmp_path: Path, mode: int):
    data = forged(make_manifest({"a": b"a"}), [("evil/a", b"a")]).getvalue()
    changed = data.replace(
        Header("evil/a", 1, 0o644).encoded(), Header("evil/a", 1, mode).encoded()
    )
    with pytest.raises(BundleDamaged, match="not an archive of a whole bundle"):
        unpack_bundle(Pipe(changed), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_manifest_that_lies_in_another_folder_is_refused(
    make_manifest: MakeManifest, tmp_path: Path
):
    archive = forged(make_manifest({"a": b"a"}), [("evil/a", b"a")], name="other")
    with pytest.raises(BundleDamaged, match="another bundle's"):
        unpack_bundle(archive, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_manifest_whose_plan_is_another_is_refused(make_manifest: MakeManifest, tmp_path: Path):
    manifest = make_manifest({"plan.json": b"{}"})
    with pytest.raises(BundleDamaged, match=r"plan\.json"):
        unpack_bundle(forged(manifest, [("evil/plan.json", b"{}")]), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_manifest_without_end_is_refused(tmp_path: Path):
    endless = Header("evil/manifest.json", 1 << 50, 0o644).encoded() + bytes(1 << 20)
    with pytest.raises(BundleDamaged, match="does not begin with a manifest"):
        unpack_bundle(Pipe(endless), tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size_bytes", [-512, 1 << 63, 10**30])
def test_a_size_that_no_file_has_is_refused(
    make_manifest: MakeManifest, tmp_path: Path, size_bytes: int
):
    manifest = make_manifest({}, files=(BundleFile(path="a", size_bytes=size_bytes, sha256=""),))
    with pytest.raises(BundleDamaged, match=f"cannot have {size_bytes} bytes"):
        unpack_bundle(forged(manifest, []), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_header_that_says_a_size_below_zero_does_not_read_without_end(tmp_path: Path):
    archive = Pipe(Header("evil/manifest.json", -1, 0o644).encoded() + bytes(1 << 20))
    with pytest.raises(BundleDamaged, match="cannot be read"):
        unpack_bundle(archive, tmp_path / "out")
    assert archive.tell() == BLOCK_BYTES


def test_a_listed_path_that_no_archive_has_room_for_is_refused(
    make_manifest: MakeManifest, tmp_path: Path
):
    with pytest.raises(BundleDamaged, match="no archive can hold"):
        unpack_bundle(forged(make_manifest({"x" * 300: b""}), []), tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("is_forced", [False, True])
def test_a_pipe_in_the_place_of_a_manifest_is_not_waited_for(
    archive: Path, tmp_path: Path, is_forced: bool
):
    out = tmp_path / "out"
    out.mkdir()
    os.mkfifo(out / MANIFEST_NAME)
    with pytest.raises(InvalidInput, match="no bundle of ours"):
        unpacked(archive, out, force=is_forced)
