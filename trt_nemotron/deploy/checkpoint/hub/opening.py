"""Opening a commit of the hub from the cache. Asks nobody: only `trt-nemotron fetch` does."""

from pathlib import Path

from trt_nemotron.deploy.checkpoint.hub.cache import RepositoryCache, hub_cache
from trt_nemotron.deploy.checkpoint.hub.reference import HubReference
from trt_nemotron.errors import CheckpointUnusable


def cached_snapshot(reference: HubReference, root: Path | None = None) -> Path:
    """The folder of a commit that was fetched and verified.

    Raises:
        CheckpointUnusable: it was not, or not on this machine.
    """
    cache = RepositoryCache(root or hub_cache(), reference)
    if cache.lock_path.is_file():
        return cache.snapshot
    is_there = cache.snapshot.is_dir()
    raise CheckpointUnusable(
        f"{reference} is in the cache, but nobody verified it"
        if is_there
        else f"{reference} is not on this machine",
        evidence=f"there is no {cache.lock_path if is_there else cache.snapshot}",
        next_step=f"trt-nemotron fetch {'--offline ' if is_there else ''}{reference}",
    )
