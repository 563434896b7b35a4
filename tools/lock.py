"""Renew locks/ from pyproject.toml, for every Python and platform at once, with hashes.

    make lock

`demo.txt` is what `make demo` installs: the core and the llama.cpp runtime. `dev.txt` is that and
all tools. `torch.txt` is the torch environment without torch itself (see the Makefile for why).
`engine_configs/runtimes/edgellm/RELEASE.lock.txt` is Edge-LLM's own environment, which the product
makes on first use, likewise without torch. `RELEASE.tools.lock.txt` is what `trt-nemotron quantize`
lays over it: ModelOpt and what it needs besides.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMON = (
    "uv", "pip", "compile", "--universal", "--python-version", "3.10", "--generate-hashes",
    "--no-header", "--no-annotate", "--quiet", "--config-file", "locks/uv.toml",
)  # fmt: skip

LOCKS: dict[str, tuple[str, ...]] = {
    "demo.txt": ("--extra", "llamacpp", "--group", "build"),
    "dev.txt": (
        "--extra", "llamacpp", "--extra", "hub", "--extra", "parquet", "--extra", "baselines",
        "--group", "build", "--group", "test",
        "--group", "compilers", "--group", "ci-lint", "--group", "bucket",
        "--group", "lint", "--group", "lock",
        "--constraints", "locks/demo.txt",
    ),
    "torch.txt": (
        "--extra", "llamacpp", "--extra", "training", "--group", "build", "--group", "test",
        "--constraints", "locks/demo.txt", "--no-emit-package", "torch",
    ),
}  # fmt: skip


EDGELLM = ("0.11.0",)
"""Releases of Edge-LLM whose wheel was read."""

QUANTIZER = ("nvidia-modelopt==0.45.0", "datasets==5.0.0", "einops==0.8.2", "peft==0.19.1")
"""Of the wheel's extra `tools`, what quantizing a text model takes."""

RENEWED = frozenset({"fsspec"})
"""What `datasets` needs older than the environment has it; it is laid over it."""


def main() -> int:
    """Compile each lock in order: later ones are constrained by the first."""
    binary = Path(sys.executable).parent
    for name, options in LOCKS.items():
        argv = (*COMMON, *options, "--output-file", f"locks/{name}", "pyproject.toml")
        sys.stderr.write(f"locks/{name}\n")
        subprocess.run([str(binary / argv[0]), *argv[1:]], cwd=ROOT, check=True)
    for release in EDGELLM:
        _lock_edgellm(binary, release)
        _lock_quantizer(binary, release)
    return 0


def _lock_edgellm(binary: Path, release: str) -> None:
    out = f"engine_configs/runtimes/edgellm/{release}.lock.txt"
    sys.stderr.write(f"{out}\n")
    argv = (*COMMON, "--no-emit-package", "torch", "--output-file", out, "-")
    subprocess.run(
        [str(binary / argv[0]), *argv[1:]],
        cwd=ROOT, check=True, text=True, input=f"tensorrt-edgellm[export,server]=={release}\n",
    )  # fmt: skip


def _lock_quantizer(binary: Path, release: str) -> None:
    """Only what the environment below it has not, held to its versions."""
    folder = ROOT / "engine_configs" / "runtimes" / "edgellm"
    below = (folder / f"{release}.lock.txt").read_text()
    pins = re.findall(r"^([\w.-]+==\S+(?: ;.*?)?) \\$", below, re.MULTILINE)
    held = [pin for pin in pins if pin.partition("==")[0] not in RENEWED]
    out = f"engine_configs/runtimes/edgellm/{release}.tools.lock.txt"
    sys.stderr.write(f"{out}\n")
    left_out = ["--no-emit-package", "torch"]
    for name in sorted({pin.partition("==")[0] for pin in held}):
        left_out += ["--no-emit-package", name]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.write("\n".join(held))
        constraints.flush()
        argv = (*COMMON, *left_out, "--constraints", constraints.name, "--output-file", out, "-")
        subprocess.run(
            [str(binary / argv[0]), *argv[1:]],
            cwd=ROOT, check=True, text=True, input="\n".join((*QUANTIZER, "torch==2.13.0")),
        )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
