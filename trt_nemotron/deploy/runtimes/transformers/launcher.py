"""The server process: `transformers serve` on one folder, offline.

    PYTHON launcher.py FOLDER NAME [OPTION...]

It is run as a file by whichever interpreter has torch and transformers, so it imports nothing of
ours. It goes into FOLDER, where the checkpoint lies in a folder called NAME, and serves that
relative path: the server answers only to the exact string it was started with, and cuts it at an
`@`, so the path of a bundle must not be in it.
"""

import os
import sys
from pathlib import Path


def main(arguments: list[str]) -> None:
    """Serve FOLDER/NAME as model NAME on loopback until SIGTERM or SIGINT."""
    folder, *rest = arguments
    # The folder of this file holds modules of ours that must not hide anybody else's.
    sys.path[:] = [entry for entry in sys.path if Path(entry) != Path(__file__).parent]
    # `GET /v1/models` answers 500 when the hub cache, where it looks for models, does not exist.
    (Path(os.environ["HF_HOME"]) / "hub").mkdir(parents=True, exist_ok=True)
    try:
        from transformers.cli.transformers import main as transformers
    except ImportError as fault:
        sys.exit(f"error: {fault}: this interpreter ({sys.executable}) lacks transformers[serving]")
    os.chdir(folder)
    sys.argv = ["transformers", "serve", *rest, "--host", "127.0.0.1", "--log-level", "info"]
    transformers()


if __name__ == "__main__":
    main(sys.argv[1:])
