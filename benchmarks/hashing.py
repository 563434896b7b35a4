"""How fast weights are hashed, beside `sha256sum` and `openssl` on the same file, in the same run.

    python benchmarks/hashing.py [FILE] [--size-mb 1024] [--rounds 5]

Without FILE a temporary one of random bytes is made. It is read once before, so that no one pays
for the disk; then all take turns. Shown are medians in MB/s and the ratio to `sha256sum`. Ours is
the code that `build` and `verify` hash with, progress included, and nothing remembered.

`sha256sum` is slow where its libraries do not use the processor's SHA instructions (Debian's do
not); `openssl` uses them, so it is the harder one to stand beside.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from trt_nemotron.deploy.bundle.hashing import HashMeter

_CHUNK = 8 * 1024 * 1024


class Steps:
    """A progress that counts its steps, as cheap as what the screen gets."""

    def __init__(self) -> None:
        self.count = 0

    def phase(self, text: str) -> None:
        """Nothing to see."""

    def step(self, done: int, total: int, unit: str) -> None:
        """One more."""
        self.count += 1

    def note(self, text: str) -> None:
        """Nothing to see."""


def ours(path: Path) -> str:
    """The hash from our own code."""
    steps = Steps()
    sha256 = HashMeter(steps, path.stat().st_size).sha256(path)
    if path.stat().st_size and not steps.count:
        sys.exit("no progress was shown")
    return sha256


def external(*command: str) -> Callable[[Path], str]:
    """The hash from another program."""

    def run(path: Path) -> str:
        done = subprocess.run([*command, str(path)], capture_output=True, text=True, check=True)
        return next(word for word in done.stdout.split() if len(word) == 64)

    return run


def contenders() -> dict[str, Callable[[Path], str]]:
    """Who takes part: ours, and what is installed."""
    found: dict[str, Callable[[Path], str]] = {}
    for name, command in (
        ("sha256sum", ("sha256sum",)),
        ("shasum", ("shasum", "-a", "256")),
        ("openssl", ("openssl", "dgst", "-sha256", "-r")),
    ):
        if shutil.which(command[0]):
            found[name] = external(*command)
    return {"ours": ours, **found}


@contextmanager
def file_to_hash(given: Path | None, size_mb: int) -> Iterator[Path]:
    """The file given, or a temporary one of random bytes."""
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights"
        with path.open("wb") as file:
            for _ in range(size_mb * 1024 * 1024 // _CHUNK):
                file.write(os.urandom(_CHUNK))
        yield path


def timed(hash_file: Callable[[Path], str], path: Path) -> tuple[str, float]:
    """The hash and the seconds it took."""
    begun = time.perf_counter()
    sha256 = hash_file(path)
    return sha256, time.perf_counter() - begun


def main() -> None:
    """Let them take turns and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--size-mb", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    people = contenders()
    seconds: dict[str, list[float]] = {name: [] for name in people}
    with file_to_hash(given.file, given.size_mb) as path:
        expected, size_mb = ours(path), path.stat().st_size / 1e6  # reads it into the page cache
        for number in range(given.rounds):
            for name in people if number % 2 == 0 else reversed(people):
                sha256, took = timed(people[name], path)
                if sha256 != expected:
                    sys.exit(f"{name} disagrees: {sha256}, not {expected}")
                seconds[name].append(took)
    rates = {name: size_mb / statistics.median(times) for name, times in seconds.items()}
    reference = rates.get("sha256sum") or rates.get("shasum")
    print(f"{size_mb:.0f} MB, {given.rounds} rounds in turn, medians")
    for name, rate in rates.items():
        ratio = f"{rate / reference:8.2f} x sha256sum" if reference else ""
        print(f"{name:12}{rate:10.0f} MB/s{ratio}")


if __name__ == "__main__":
    main()
