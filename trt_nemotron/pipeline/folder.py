"""The folder of a check: what lies in it, and that one check at a time writes into it."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trt_nemotron.errors import EnvironmentUnfit

BUNDLE = "bundle"
RESULTS = (
    "check.json",
    "server.log",
    "smoke.json",
    "measurement.json.gz",
    "verdict.json",
    "verdict.md",
    "verdict.junit.xml",
    "report.html",
)


@contextmanager
def sole_user_of(folder: Path) -> Iterator[None]:
    """Two checks into one folder would mix their results; the lock dies with its process."""
    import filelock

    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as fault:
        raise EnvironmentUnfit(
            f"another check is writing into {folder}",
            next_step="Wait for it to end, or give this one a folder of its own with --out.",
        ) from fault
    try:
        yield
    finally:
        lock.release()


def clear_results(folder: Path) -> None:
    """Remove what an earlier check left, so that nothing of it is taken for this one's.

    The bundle stays: building again finds out by itself whether it is the same.

    Raises:
        OSError: as the system says.
    """
    for name in RESULTS:
        (folder / name).unlink(missing_ok=True)


def endpoint_name(target: str, folder: Path) -> str:
    """A server's name for this folder, so that checks into several folders may run at a time."""
    place = hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:6]
    return f"check-{target}-{place}"
