"""What the hub says of every file of one commit, kept beside the snapshot it belongs to."""

from typing import ClassVar, Literal

from trt_nemotron.document import Document, Value

LOCK_NAME = "source.lock.json"

HashOrigin = Literal["hub-lfs", "hub-git", "cache-etag"]
"""Where the expectation came from, which the content was then held against.

`hub-lfs`: the hub's list of files gives the SHA-256 (the id of a file in Git LFS).
`hub-git`: the hub's list gives Git's own id, a SHA-1 over the content.
`cache-etag`: another program fetched the file; the cache names it by the hub's ETag, which is one
of the two.
"""


class LockedFile(Value, frozen=True, kw_only=True):
    """One file.

    Attributes:
        sha256: of the content, computed here and, for `hub-lfs`, equal to what the hub says.
        hub_id: what the hub calls the content: 64 hexadecimal digits (SHA-256) or 40 (Git's id).
    """

    name: str
    size_bytes: int
    sha256: str
    hub_id: str
    origin: HashOrigin


class SourceLock(Document, frozen=True, kw_only=True):
    """Every file of a snapshot that was fetched, sorted by name; all of them were hashed."""

    SCHEMA: ClassVar[str] = "trt-nemotron/source-lock/1"

    repository: str
    revision: str
    files: tuple[LockedFile, ...]

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(file.size_bytes for file in self.files)
