"""The README's commands work as they stand there, one after another, in an empty folder."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def shown_commands(readme: str) -> list[list[str]]:
    """Of the block that begins with `check`: the arguments of each line, without its comment."""
    block = re.search(r"^```sh\n(trt-nemotron check .*?)^```", readme, re.MULTILINE | re.DOTALL)
    assert block is not None
    return [shlex.split(line, comments=True) for line in block.group(1).splitlines()]


def test_commands_of_the_readme_work_one_after_another(repository: Path, tmp_path: Path):
    commands = shown_commands((repository / "README.md").read_text())
    assert {arguments[1] for arguments in commands} >= {"check", "serve", "bench", "gate", "stop"}
    right = repository / "tests" / "facts" / "lint" / "right" / "card.yaml"
    shutil.copy(right, tmp_path / "my.yaml")  # the one file that the reader brings along
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    try:
        for arguments in commands:
            done = subprocess.run(
                arguments, cwd=tmp_path, env=environment,
                capture_output=True, text=True, check=False, timeout=120,
            )  # fmt: skip
            assert done.returncode == 0, (shlex.join(arguments), done.stderr)
            assert done.stdout + done.stderr, f"{shlex.join(arguments)} says nothing"
    finally:
        subprocess.run(
            [*commands[0][:1], "stop", "--all"], env=environment, capture_output=True, check=False
        )
