"""Write down what some files of the system hold, again and again, until killed.

    python -I -S energy_sampler.py OUTPUT PERIOD_MS FILE...

One line of OUTPUT each time: nanoseconds of the wall clock, then the number in each file. It is a
process of its own so that nothing of it happens in the one that measures, and is run as a file,
without this package, so that it starts at once. A file that cannot be read any more ends it.
"""

import sys
import time
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Sample for ever."""
    period_s, paths = int(arguments[1]) / 1e3, arguments[2:]
    due = time.monotonic()
    with Path(arguments[0]).open("a", encoding="ascii") as output:
        while True:
            values = [read_number(path) for path in paths]
            print(time.time_ns(), *values, file=output, flush=True)
            due += period_s
            time.sleep(max(0.0, due - time.monotonic()))


def read_number(path: str) -> int:
    """The whole number that a file holds."""
    return int(Path(path).read_text(encoding="ascii"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
