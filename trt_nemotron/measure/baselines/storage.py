"""Where baselines lie: named files that are only ever added. A folder here, others beside it.

Nothing is overwritten, so two jobs that record at the same time cannot lose each other's work, and
whoever dies halfway leaves files that no event names.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from trt_nemotron.document import read_bytes, write_atomically
from trt_nemotron.errors import InvalidInput


class Storage(Protocol):
    """Named files, added to and read."""

    location: str
    """As the user wrote it, without anything secret."""

    def names(self) -> tuple[str, ...]:
        """Names of all files, sorted; empty where nothing was kept yet."""

    def read(self, name: str) -> bytes:
        """One file.

        Raises:
            InvalidInput: there is none of that name.
        """

    def add(self, files: Mapping[str, bytes], message: str) -> None:
        """Add files in the given order; the last one makes the others count.

        Raises:
            InvalidInput: a file of that name is there and has other content.
        """


class Folder:
    """Baselines as files in a folder, which need not be there yet.

    Raises:
        InvalidInput: the path is of a file.
    """

    def __init__(self, path: Path) -> None:
        if path.exists() and not path.is_dir():
            raise InvalidInput(
                f"{path} is a file, and baselines are kept in a folder",
                next_step="Name a folder; `baseline record` makes it.",
            )
        self.location = str(path)
        self._path = path

    def names(self) -> tuple[str, ...]:
        """All JSON files under the folder, by relative name."""
        found = (path.relative_to(self._path) for path in self._path.rglob("*.json"))
        return tuple(sorted(p.as_posix() for p in found if not p.name.startswith(".")))

    def read(self, name: str) -> bytes:
        """The file's bytes."""
        return read_bytes(self._path / name)

    def add(self, files: Mapping[str, bytes], message: str) -> None:
        """Each atomically."""
        for name, data in files.items():
            path = self._path / name
            if path.exists():
                refuse_other(name, read_bytes(path), data, self.location)
            else:
                write_atomically(path, data)


def refuse_other(name: str, kept: bytes, given: bytes, location: str) -> None:
    """Refuse to put other content in a file's place.

    Raises:
        InvalidInput: `given` differs from what is `kept`.
    """
    if kept != given:
        raise InvalidInput(
            f"{name} in {location} holds something else already",
            evidence=f"{len(kept)} bytes kept, {len(given)} bytes given",
            next_step="Baselines are never overwritten: record a new run.",
        )


def open_storage(location: str) -> Storage:
    """The storage at `location`.

    `git:BRANCH` is a branch of the repository around the current folder, `git:BRANCH@PATH` of
    another one; `s3://BUCKET/PREFIX`, or anything else with `://`, a bucket; all else is a folder.

    Raises:
        InvalidInput: it names nothing.
        EnvironmentUnfit: a bucket without the package that reaches it.
    """
    if location.startswith("git:"):
        from trt_nemotron.measure.baselines.git_branch import GitBranch

        branch, _, path = location.removeprefix("git:").partition("@")
        return GitBranch(Path(path or "."), branch)
    if "://" in location:
        from trt_nemotron.measure.baselines.bucket import Bucket

        return Bucket(location)
    if not location:
        raise InvalidInput("no place for baselines was named", next_step="Name a folder.")
    return Folder(Path(location))
