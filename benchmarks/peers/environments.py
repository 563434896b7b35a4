"""An environment for each peer, made on demand in the user's cache and kept there.

Its folder is named after what is in it, so another version is another environment. A mark is
written last: what was cut off is made anew.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.peers.peer import Peer

INSTALL_TIMEOUT_S = 900
_MARK = "ready"


class Unavailable(Exception):
    """A peer cannot be had on this machine; the message says why."""


def cache() -> Path:
    """Where environments are kept."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "trt-nemotron" / "peers"


def programs_of(peer: Peer) -> Path:
    """The folder with the programs of the peer's environment, which is made if it is not there.

    Raises:
        Unavailable: an installation failed.
    """
    if not peer.requirements and not peer.bare:
        return Path(sys.executable).parent
    folder = folder_of(peer)
    if not (folder / _MARK).exists():
        shutil.rmtree(folder, ignore_errors=True)
        print(f"making an environment for {peer.name} in {folder}", file=sys.stderr)
        _run([sys.executable, "-m", "venv", str(folder)])
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        if peer.bare:
            _run([*pip, "--no-deps", *peer.bare])
        if peer.requirements:
            _run([*pip, *peer.requirements])
        (folder / _MARK).write_text("\n".join((*peer.bare, *peer.requirements)))
    return folder / "bin"


def folder_of(peer: Peer) -> Path:
    """Named after what is in it."""
    content = "\n".join((*peer.bare, "", *peer.requirements, sys.version))
    name = re.sub(r"[^a-z0-9]+", "-", peer.name.lower()).strip("-")
    return cache() / f"{name}-{hashlib.sha256(content.encode()).hexdigest()[:10]}"


def _run(argv: list[str]) -> None:
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"not installed within {INSTALL_TIMEOUT_S} s") from None
    if done.returncode:
        told = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise Unavailable(re.sub(r"\S+://\S+", "<index>", told[-1]))
