"""Running one of the programs under `inside/` in Edge-LLM's environment."""

import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from trt_nemotron import command
from trt_nemotron.errors import CommandFailed
from trt_nemotron.progress import Progress
from trt_nemotron.redaction import redact, scrubbed_environment

WATCHED = Path(__file__).with_name("inside") / "watched.py"
_MEMORY = re.compile(rb"RSS (\d+)\n")
_END = re.compile(rb"END (\d+)\n")
_EVIDENCE_LINES = 20
_READ_S = 1.0
_GRACE_S = 10.0


def run_inside(
    python: Path,
    function: str,
    arguments: Sequence[str],
    *,
    log: Path,
    progress: Progress,
    expected_bytes: int,
    timeout_s: float,
    variables: Mapping[str, str] | None = None,
) -> int:
    """Run `MODULE:FUNCTION` there and wait for it; it ends when we do.

    Args:
        python: of the environment.
        function: what to run, of a module there or of a file under `inside/`.
        arguments: its command line.
        log: what it prints goes there, appended.
        progress: shown its memory.
        expected_bytes: of memory, to show how much of it is taken.
        timeout_s: seconds it may take.
        variables: of its environment, beside ours.

    Returns:
        The most memory it was seen to hold, in bytes.

    Raises:
        CommandFailed: it failed, was killed or took too long; with the end of its log.
    """
    argv = [str(python), str(WATCHED), function, *arguments]
    environment = scrubbed_environment(
        {"HF_HUB_OFFLINE": "1", "PYTHONNOUSERSITE": "1", **(variables or {})}
    )
    running = command.start(argv, log_path=log, env=environment)
    peak, said, deadline = 0, b"", time.monotonic() + timeout_s
    try:
        while True:
            data = running.read(_READ_S)
            if data == b"":
                break
            said += data or b""
            peak = max([peak, *(int(it) for it in _MEMORY.findall(said))])
            if peak:
                progress.step(peak, max(expected_bytes, peak), "B of memory")
            if time.monotonic() > deadline:
                raise _failure(function, f"took longer than {timeout_s:g} s", log)
    finally:
        running.close_input()
        if not running.wait(_GRACE_S):
            running.kill()
    ended = _END.search(said)
    if ended is None or ended[1] != b"0":
        what = "was killed" if ended is None else f"ended with exit code {int(ended[1])}"
        raise _failure(function, what, log)
    return peak


def _failure(function: str, what: str, log: Path) -> CommandFailed:
    text = log.read_bytes().decode(errors="replace") if log.exists() else ""
    lines = redact("\n".join(text.splitlines()[-_EVIDENCE_LINES:]))
    memory = "; out of memory?" if what == "was killed" else ""
    return CommandFailed(f"{function} {what}{memory}", evidence=lines)
