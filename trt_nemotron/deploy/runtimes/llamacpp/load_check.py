"""Proof that the server's own engine loads a file: it is started, asked for one token, stopped."""

import http.client
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from trt_nemotron import command, tether
from trt_nemotron.deploy.runtimes.llamacpp.log import READY_PATTERN
from trt_nemotron.errors import CheckpointUnusable
from trt_nemotron.process import Running
from trt_nemotron.redaction import scrubbed_environment

_POLL_S = 0.02
_LOG_LINES = 12


def check_loads(argv: Sequence[str], log_path: Path, *, timeout_s: float) -> str:
    """Start the server, have it generate one token, stop it; what it logged.

    The server dies with us, however we end. The log file is removed.

    Raises:
        CheckpointUnusable: it does not load or gives no token in time, with the end of its log.
        CommandFailed: it cannot be started at all.
    """
    tethered = [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), *argv]
    deadline = time.monotonic() + timeout_s
    server = command.start(tethered, log_path=log_path, env=scrubbed_environment())
    try:
        port = _wait_for_port(server, log_path, deadline)
        _ask_one_token(port, deadline, log_path)
        return log_path.read_text(errors="replace")
    finally:
        server.close_input()
        server.kill()
        log_path.unlink(missing_ok=True)


def _wait_for_port(server: Running, log_path: Path, deadline: float) -> int:
    """The port in the line that says the server listens; it says so when the model is loaded."""
    while time.monotonic() < deadline:
        log = log_path.read_text(errors="replace")
        if found := re.search(READY_PATTERN, log):
            return int(found["url"].rpartition(":")[2])
        if server.wait(_POLL_S):
            raise _refused("llama.cpp does not load the file", log_path.read_text(errors="replace"))
    log = log_path.read_text(errors="replace")
    raise _refused("llama.cpp takes too long to load the file", log)


def _ask_one_token(port: int, deadline: float, log_path: Path) -> None:
    connection = http.client.HTTPConnection(
        "127.0.0.1", port, timeout=max(deadline - time.monotonic(), 1.0)
    )
    body = json.dumps({"prompt": "1", "n_predict": 1, "temperature": 0})
    try:
        connection.request("POST", "/completion", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as fault:
        log = log_path.read_text(errors="replace")
        raise _refused(f"llama.cpp gives no token from the file: {fault!r}", log) from fault
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK or json.loads(text).get("tokens_predicted") != 1:
        raise _refused(f"llama.cpp gives no token from the file: {text[:300]}", "")


def _refused(message: str, log: str) -> CheckpointUnusable:
    return CheckpointUnusable(
        message,
        evidence="\n".join(log.strip().splitlines()[-_LOG_LINES:]),
        next_step="If it is a published GGUF file, its format may be newer than this llama.cpp.",
    )
