"""What a command costs a cold process, beside `import click` in the same environment and run.

    python benchmarks/cold_start.py [--rounds 15] [--target h100-sxm]

Each round starts, in turn: an interpreter that does nothing, `import click`, `trt-nemotron --help`,
`plan` and `build` of a random checkpoint for TensorRT-LLM whose weights were hashed before. A
build goes into a new folder each time. Every process is new; what is shared is the disk's cache and
compiled bytecode, as on any machine on which the tool ran once (bytecode is kept in a folder of
this run, also where the environment forbids to write it). Shown are medians, and the median of each
round's ratio to `import click`.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
BOUNDS = {"plan": 4.0, "build": 6.0}


def environment(folder: Path) -> dict[str, str]:
    """The variables of this process, with bytecode and caches in `folder`."""
    kept = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {
        **kept,
        "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
        "TRT_NEMOTRON_CACHE_DIR": str(folder / "cache"),
    }


def write_checkpoint(folder: Path) -> Path:
    """A random checkpoint in two shards, each large enough for its hash to be remembered."""
    sys.path.insert(0, str(REPOSITORY))
    from tests.deploy.random_checkpoint import RandomCheckpoint

    path = RandomCheckpoint({"vocab_size": 30_000}, stored="BF16", shards=2).write(folder / "model")
    for file in path.iterdir():
        os.utime(file, ns=(10**18, 10**18))  # not changed a moment ago
    return path


def commands(checkpoint: Path, target: str, out: Path) -> dict[str, list[str]]:
    """What each contender runs."""
    tool = [sys.executable, "-m", "trt_nemotron"]
    what = ["--target", target, "--runtime", "trtllm", "--checkpoint", str(checkpoint), "--json"]
    return {
        "python": [sys.executable, "-c", "pass"],
        "click": [sys.executable, "-c", "import click"],
        "help": [*tool, "--help"],
        "plan": [*tool, "plan", *what],
        "build": [*tool, "build", *what, "--out", str(out)],
    }


def seconds_of(argv: list[str], variables: dict[str, str], folder: Path) -> float:
    """Wall-clock seconds of one process from start to end."""
    begun = time.perf_counter()
    done = subprocess.run(argv, env=variables, cwd=folder, capture_output=True, check=False)
    took = time.perf_counter() - begun
    if done.returncode:
        sys.exit(f"{' '.join(argv)}\n{done.stderr.decode()}")
    return took


def measure(rounds: int, target: str, folder: Path) -> dict[str, list[float]]:
    """Seconds of every contender, round by round; a first round that warms is left out."""
    variables, out = environment(folder), folder / "bundle"
    contenders = commands(write_checkpoint(folder), target, out)
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name in contenders if number % 2 == 0 else reversed(contenders):
            shutil.rmtree(out, ignore_errors=True)
            took = seconds_of(contenders[name], variables, folder)
            if number:
                seconds[name].append(took)
    return seconds


def main() -> None:
    """Measure and print; exit code 1 when a bound does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--target", default="h100-sxm")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seconds = measure(given.rounds, given.target, Path(folder))
    print(
        f"{given.rounds} rounds in turn, cold processes, medians; Python {sys.version.split()[0]}"
    )
    is_kept = True
    for name, times in seconds.items():
        ratios = [own / base for own, base in zip(times, seconds["click"], strict=True)]
        ratio, bound = statistics.median(ratios), BOUNDS.get(name)
        is_kept = is_kept and (bound is None or ratio <= bound)
        limit = f"   (at most {bound:g})" if bound else ""
        print(f"{name:8}{statistics.median(times) * 1e3:8.0f} ms{ratio:8.2f} x click{limit}")
    sys.exit(0 if is_kept else 1)


if __name__ == "__main__":
    main()
