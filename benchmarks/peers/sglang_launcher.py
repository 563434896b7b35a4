"""Start sglang's Rust client as its own command does, but without importing sglang."""

import sys
from pathlib import Path

FOLDER = "sglang/srt/rust_extensions"


def main() -> int:
    """With the arguments of the command line."""
    found = [Path(entry) / FOLDER for entry in sys.path if (Path(entry) / FOLDER).is_dir()]
    sys.path.insert(0, str(found[0]))
    import _bench  # type: ignore[import-not-found]

    return int(_bench.run_argv(sys.argv) or 0)


if __name__ == "__main__":
    sys.exit(main())
