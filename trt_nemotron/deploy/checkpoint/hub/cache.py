"""The hub's cache on this disk: where things lie in it, read without the hub's library.

    CACHE/models--OWNER--NAME/
        blobs/ID                       contents, by the hub's id of them
        snapshots/COMMIT/NAME          links to them
        trt-nemotron/COMMIT/source.lock.json   ours: what the hub said of each file

Layout: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
Variables: https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trt_nemotron.deploy.checkpoint.hub.reference import HubReference
from trt_nemotron.deploy.checkpoint.hub.source_lock import LOCK_NAME

_HEX_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_OWN_FOLDER = "trt-nemotron"


def hub_cache(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder that the hub's own library uses under the same variables."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if name in environment:
            return _expanded(environment[name])
    if "HF_HOME" in environment:
        return _expanded(environment["HF_HOME"]) / "hub"
    cache = environment.get("XDG_CACHE_HOME", "~/.cache")
    return _expanded(cache) / "huggingface" / "hub"


def is_offline(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the user's environment forbids to ask the hub."""
    value = environment.get("HF_HUB_OFFLINE") or environment.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in {"1", "ON", "YES", "TRUE"}


@dataclass(frozen=True, slots=True)
class RepositoryCache:
    """The part of the cache that belongs to one reference."""

    root: Path
    reference: HubReference

    @property
    def folder(self) -> Path:
        """Of the repository."""
        return self.root / ("models--" + self.reference.repository.replace("/", "--"))

    @property
    def snapshot(self) -> Path:
        """Of the commit: the folder that is opened as a checkpoint."""
        return self.folder / "snapshots" / self.reference.revision

    @property
    def lock_path(self) -> Path:
        """Where the lock of the commit is kept: outside the snapshot, which is the hub's alone."""
        return self.folder / _OWN_FOLDER / self.reference.revision / LOCK_NAME

    def blob(self, hub_id: str) -> Path:
        """Where the content that the hub calls `hub_id` lies."""
        return self.folder / "blobs" / hub_id

    def partial(self, hub_id: str) -> Path:
        """Where that content grows; no other program writes there."""
        return self.folder / _OWN_FOLDER / f"{hub_id}.incomplete"

    def guard(self, hub_id: str) -> Path:
        """The lock file that whoever fetches that content holds, the hub's library too."""
        return self.root / ".locks" / self.folder.name / f"{hub_id}.lock"

    def cached_id(self, name: str) -> str:
        """The id under which the cache keeps file `name` of the commit; empty when it has none."""
        try:
            target = (self.snapshot / name).readlink().name
        except OSError:
            return ""
        return target if _HEX_ID.fullmatch(target) else ""


def lock_beside(folder: Path) -> Path | None:
    """The lock that belongs to a checkpoint's folder: inside it, or a snapshot's in the cache."""
    inside = folder / LOCK_NAME
    if inside.is_file():
        return inside
    if folder.parent.name != "snapshots":
        return None
    cached = folder.parent.parent / _OWN_FOLDER / folder.name / LOCK_NAME
    return cached if cached.is_file() else None


def _expanded(text: str) -> Path:
    return Path(os.path.expandvars(os.path.expanduser(text))).absolute()  # noqa: PTH111 - ~nobody
