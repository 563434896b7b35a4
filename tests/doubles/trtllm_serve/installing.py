"""Put the double on a PATH under the real program's name."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.doubles.trtllm_serve.contract import RELEASE_VARIABLE

_SCRIPT = """\
#!{interpreter}
# A double of trtllm-serve, made by the tests.
import os
import sys

sys.path.insert(0, {root!r})
os.environ.setdefault({variable!r}, {release!r})

from tests.doubles.trtllm_serve.main import main

main(sys.argv[1:])
"""


def install_double(
    folder: Path, release: str, *, interpreter: str = sys.executable, root: str = ""
) -> Path:
    """Write `trtllm-serve` into `folder`, as the double at `release`.

    Args:
        folder: made when it is missing.
        release: unless the variable of the server's environment says another.
        interpreter: one that has the product's dependencies, and pydantic.
        root: where `tests` and `engine_configs` lie; without it this checkout.
    """
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "trtllm-serve"
    program.write_text(
        _SCRIPT.format(
            interpreter=interpreter,
            root=root or str(Path(__file__).resolve().parents[3]),
            variable=RELEASE_VARIABLE,
            release=release,
        ),
        encoding="utf-8",
    )
    program.chmod(0o755)
    return program
