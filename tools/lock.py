"""Renew locks/ from pyproject.toml, for every Python and platform at once, with hashes.

    make lock

`demo.txt` is what `make demo` installs: the core and the llama.cpp runtime. `dev.txt` is that and
all tools. `torch.txt` is the torch environment without torch itself (see the Makefile for why).
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMON = (
    "uv", "pip", "compile", "--universal", "--python-version", "3.10", "--generate-hashes",
    "--no-header", "--no-annotate", "--quiet", "--config-file", "locks/uv.toml",
)  # fmt: skip

LOCKS: dict[str, tuple[str, ...]] = {
    "demo.txt": ("--extra", "llamacpp", "--group", "build"),
    "dev.txt": (
        "--extra", "llamacpp", "--group", "build", "--group", "test", "--group", "lint",
        "--group", "lock", "--constraints", "locks/demo.txt",
    ),
    "torch.txt": (
        "--extra", "llamacpp", "--extra", "training", "--group", "build", "--group", "test",
        "--constraints", "locks/demo.txt", "--no-emit-package", "torch",
    ),
}  # fmt: skip


def main() -> int:
    """Compile each lock in order: later ones are constrained by the first."""
    binary = Path(sys.executable).parent
    for name, options in LOCKS.items():
        argv = (*COMMON, *options, "--output-file", f"locks/{name}", "pyproject.toml")
        sys.stderr.write(f"locks/{name}\n")
        subprocess.run([str(binary / argv[0]), *argv[1:]], cwd=ROOT, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
