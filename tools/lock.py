"""Renew locks/ from pyproject.toml, for every Python and platform at once, with hashes.

    make lock

`demo.txt` is what `make demo` installs: the core and the llama.cpp runtime. `dev.txt` is that and
all tools. `torch.txt` is the torch environment without torch itself (see the Makefile for why).
`engine_configs/runtimes/edgellm/RELEASE.lock.txt` is Edge-LLM's own environment, which the product
makes on first use, likewise without torch.
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
        "--extra", "llamacpp", "--extra", "hub", "--group", "build", "--group", "test",
        "--group", "compilers", "--group", "lint", "--group", "lock",
        "--constraints", "locks/demo.txt",
    ),
    "torch.txt": (
        "--extra", "llamacpp", "--extra", "training", "--group", "build", "--group", "test",
        "--constraints", "locks/demo.txt", "--no-emit-package", "torch",
    ),
}  # fmt: skip


EDGELLM = ("0.11.0",)
"""Releases of Edge-LLM whose wheel was read."""


def main() -> int:
    """Compile each lock in order: later ones are constrained by the first."""
    binary = Path(sys.executable).parent
    for name, options in LOCKS.items():
        argv = (*COMMON, *options, "--output-file", f"locks/{name}", "pyproject.toml")
        sys.stderr.write(f"locks/{name}\n")
        subprocess.run([str(binary / argv[0]), *argv[1:]], cwd=ROOT, check=True)
    for release in EDGELLM:
        _lock_edgellm(binary, release)
    return 0


def _lock_edgellm(binary: Path, release: str) -> None:
    out = f"engine_configs/runtimes/edgellm/{release}.lock.txt"
    sys.stderr.write(f"{out}\n")
    argv = (*COMMON, "--no-emit-package", "torch", "--output-file", out, "-")
    subprocess.run(
        [str(binary / argv[0]), *argv[1:]],
        cwd=ROOT, check=True, text=True, input=f"tensorrt-edgellm[export,server]=={release}\n",
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
