import datetime as dt
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trt_nemotron.measure.baselines.bucket import Bucket
from trt_nemotron.measure.baselines.git_branch import GitBranch
from trt_nemotron.measure.baselines.storage import Folder, Storage

START = dt.datetime(2026, 11, 23, 12, tzinfo=dt.timezone.utc)


@pytest.fixture
def clock() -> Callable[[], dt.datetime]:
    """A minute later each time it is read."""
    times: Iterator[dt.datetime] = (START + dt.timedelta(minutes=i) for i in range(10**6))
    return lambda: next(times)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository with one commit, a changed file and a name to commit by."""
    path = tmp_path / "repository"
    path.mkdir()
    for arguments in (
        ["init", "--quiet", "--initial-branch=main"],
        ["config", "user.name", "Somebody"],
        ["config", "user.email", "somebody@example.org"],
        ["commit", "--quiet", "--allow-empty", "--message=first"],
    ):
        subprocess.run(["git", *arguments], cwd=path, check=True, capture_output=True)
    (path / "work.txt").write_text("not committed")
    return path


@pytest.fixture(params=["folder", "git", "bucket"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """Each kind of storage, empty; the bucket is fsspec's own local file system."""
    if request.param == "folder":
        return Folder(tmp_path / "baselines")
    if request.param == "git":
        return GitBranch(request.getfixturevalue("repository"), "perf/baselines")
    pytest.importorskip("fsspec")
    return Bucket(f"file://{tmp_path}/bucket/prefix")
