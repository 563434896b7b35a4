import subprocess
import sys
from pathlib import Path

import pytest

from trt_nemotron.errors import EnvironmentUnfit, InvalidInput
from trt_nemotron.measure.baselines.git_branch import GitBranch
from trt_nemotron.measure.baselines.storage import Folder, Storage, open_storage


def git(repository: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=repository, check=True, capture_output=True, text=True
    ).stdout


def test_what_was_added_is_read_back(storage: Storage):
    assert storage.names() == ()
    storage.add({"b/two.json": '"ü"'.encode(), "a/one.json": b"1"}, "add two")
    assert storage.names() == ("a/one.json", "b/two.json")
    assert storage.read("b/two.json") == '"ü"'.encode()


def test_adding_the_same_again_changes_nothing(storage: Storage):
    for _ in range(2):
        storage.add({"a.json": b"1"}, "add")
    assert storage.names() == ("a.json",)


def test_nothing_is_overwritten(storage: Storage):
    storage.add({"a.json": b"1"}, "add")
    with pytest.raises(InvalidInput, match="something else"):
        storage.add({"a.json": b"2"}, "change")
    assert storage.read("a.json") == b"1"


def test_what_is_not_there_cannot_be_read(storage: Storage):
    storage.add({"a.json": b"1"}, "add")
    with pytest.raises(InvalidInput, match=r"b\.json"):
        storage.read("b.json")


def test_git_touches_neither_the_work_tree_nor_head_nor_the_index(repository: Path):
    before = (git(repository, "status", "--porcelain"), git(repository, "rev-parse", "HEAD"))
    storage = GitBranch(repository, "perf")
    storage.add({"a.json": b"1"}, "first")
    storage.add({"b.json": b"2"}, "second")
    assert (
        git(repository, "status", "--porcelain"),
        git(repository, "rev-parse", "HEAD"),
    ) == before
    assert git(repository, "log", "--format=%s %an", "perf") == "second Somebody\nfirst Somebody\n"


def test_git_does_not_lose_what_came_between(repository: Path, monkeypatch: pytest.MonkeyPatch):
    mine, theirs = GitBranch(repository, "perf"), GitBranch(repository, "perf")
    theirs.add({"first.json": b"0"}, "theirs")
    commit = GitBranch._commit

    def commit_late(self: GitBranch, tip: str, files, message: str) -> str:
        made = commit(self, tip, files, message)
        if message == "mine" and "between.json" not in theirs.names():
            theirs.add({"between.json": b"1"}, "theirs again")
        return made

    monkeypatch.setattr(GitBranch, "_commit", commit_late)
    mine.add({"mine.json": b"2"}, "mine")
    assert mine.names() == ("between.json", "first.json", "mine.json")


@pytest.mark.parametrize("branch", ["", "a b", "-x..y", "a..b"])
def test_a_name_that_is_no_branch_is_refused(repository: Path, branch: str):
    with pytest.raises(InvalidInput, match="no branch"):
        GitBranch(repository, branch)


def test_a_folder_without_git_is_no_repository(tmp_path: Path):
    with pytest.raises(InvalidInput, match="no branch in a git repository"):
        GitBranch(tmp_path, "perf")


def test_the_location_says_which_kind_it_is(tmp_path: Path, repository: Path):
    assert isinstance(open_storage(str(tmp_path)), Folder)
    assert isinstance(open_storage(f"git:perf@{repository}"), GitBranch)
    with pytest.raises(InvalidInput, match="no place"):
        open_storage("")


def test_a_bucket_of_an_unknown_kind_is_refused():
    pytest.importorskip("fsspec")
    with pytest.raises(InvalidInput, match="no place that fsspec knows"):
        open_storage("nosuchkind://bucket/prefix")


def test_a_location_holds_no_credentials():
    with pytest.raises(InvalidInput, match="credentials") as caught:
        open_storage("s3://key:secret@bucket/prefix")
    assert "secret" not in str(caught.value)


def test_a_bucket_without_its_package_names_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(EnvironmentUnfit, match="fsspec"):
        open_storage("s3://bucket/prefix")
