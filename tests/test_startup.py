"""Start-up: what asking for help or a version may import."""

import subprocess
import sys

import pytest

RUNTIMES = {"torch", "transformers", "numpy", "xllamacpp", "gguf", "requests"} | {
    "huggingface_hub", "httpx2", "onnx",
}  # fmt: skip
HEAVY = RUNTIMES | {"rich", "yaml", "msgspec"}


def loaded_modules(statement: str) -> set[str]:
    program = f"import sys\n{statement}\nprint('MODULES', *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.rpartition("MODULES")[2].split())


@pytest.mark.parametrize(
    "statement",
    [
        "import trt_nemotron",
        "from trt_nemotron.cli.main import run; run(['--help'])",
        "from trt_nemotron.cli.main import run; run(['--version'])",
        "from trt_nemotron.cli.main import run; run(['no-such-command'])",
    ],
)
def test_nothing_heavy_is_imported(statement: str):
    assert loaded_modules(statement).isdisjoint(HEAVY)


def test_help_of_one_command_imports_no_runtime():
    modules = loaded_modules("from trt_nemotron.cli.main import run; run(['check', '--help'])")
    assert modules.isdisjoint(RUNTIMES)
