"""Check that the documentation tells the truth where a program can see it.

    make docs-check

Relative links lead somewhere, every `trt-nemotron` command shown exists with the options shown,
every `make` target shown exists, and the README names every command.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from trt_nemotron.cli.main import COMMANDS, cli

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


def main() -> int:
    """Print every fault; exit 1 when there is one."""
    faults = [fault for page in pages() for fault in faults_of(page)]
    readme = (ROOT / "README.md").read_text()
    faults += [f"README.md: does not name `{name}`" for name in COMMANDS if name not in readme]
    for fault in faults:
        sys.stdout.write(f"{fault}\n")
    sys.stdout.write(f"{len(list(pages()))} pages, {len(faults)} faults\n")
    return 1 if faults else 0


def pages() -> Iterator[Path]:
    """Every Markdown page under version control, or simply every one outside a checkout."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    names = listed.stdout.split() if listed.returncode == 0 else []
    return (ROOT / name for name in sorted(names) if (ROOT / name).is_file())


def faults_of(page: Path) -> Iterator[str]:
    """What is wrong on one page, a line each."""
    text = page.read_text()
    where = page.relative_to(ROOT)
    for target in LINK.findall(FENCE.sub("", text)):
        if "://" not in target and not (page.parent / target).exists():
            yield f"{where}: link to {target} leads nowhere"
    for line in shown_commands(text):
        fault = fault_of_command(line)
        if fault:
            yield f"{where}: `{line}`: {fault}"


def shown_commands(text: str) -> Iterator[str]:
    """Command lines in fenced blocks (continuations joined) and in inline code."""
    for _, block in FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            yield line.strip().removeprefix("$ ")
    yield from re.findall(r"`((?:trt-nemotron|make) [^`]+)`", FENCE.sub("", text))


def fault_of_command(line: str) -> str:
    """Why this command line cannot work; empty when it can, or when it is not ours."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return ""
    if len(words) > 1 and words[0] == "make":
        return fault_of_target(words[1])
    if len(words) < 2 or words[0] != "trt-nemotron" or words[1].startswith("-"):
        return ""
    command = cli.get_command(click.Context(cli), words[1])
    if command is None:
        return "" if not words[1].isidentifier() else "no such command"
    if isinstance(command, click.Group) and len(words) > 2:
        command = command.commands.get(words[2])
        if command is None:
            return f"no such command: {words[1]} {words[2]}"
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    options = [word.split("=")[0] for word in words[2:] if word.startswith("--")]
    unknown = [option for option in options if option not in known]
    return f"no such option: {', '.join(unknown)}" if unknown else ""


def fault_of_target(word: str) -> str:
    """Why `make word` cannot work; a variable is not a target."""
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return "" if word in targets or "=" in word else f"no such target: {word}"


if __name__ == "__main__":
    sys.exit(main())
