"""The registry: which servers this tool has started, kept in a private folder of the user.

STATE/NAME.json   the endpoint's document; its guard writes it as long as the guard lives
STATE/NAME.log    all the server has written, until the name is used again
STATE/.lock       held while a name is taken or a stale document is cleaned
"""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from trt_nemotron.command import run
from trt_nemotron.deploy.serving.container.looking import container_pid
from trt_nemotron.deploy.serving.processes import find_process, resident_bytes
from trt_nemotron.deploy.serving.remains import end_remains
from trt_nemotron.deploy.serving.values import Endpoint, EndpointStatus
from trt_nemotron.document import read_document, write_document
from trt_nemotron.errors import EnvironmentUnfit, InvalidInput

if TYPE_CHECKING:
    import psutil

STATE_VARIABLE = "TRT_NEMOTRON_STATE_DIR"
NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")

_LOCK_TIMEOUT_S = 30.0
_KEPT_LOGS = 20
_ROOM_BYTES = 2**18
"""For a document of some kilobytes, and the first minutes of a log."""
_GUARD_GONE = "its guard is gone: it was killed, or the machine was restarted"


def servers_folder() -> Path:
    """`servers` in `$TRT_NEMOTRON_STATE_DIR`, or in where the system keeps a user's state."""
    if chosen := os.environ.get(STATE_VARIABLE):
        return Path(chosen).absolute() / "servers"
    from platformdirs import user_state_path

    return user_state_path("trt-nemotron", appauthor=False) / "servers"


def valid_name(name: str) -> str:
    """`name` itself, when it may name an endpoint.

    Raises:
        InvalidInput: it may not.
    """
    if not NAME_PATTERN.fullmatch(name):
        raise InvalidInput(
            f"{name!r} cannot name a server",
            evidence="a name has 1 to 63 letters, digits, dots, dashes and underscores",
            next_step="Choose another one with --name.",
        )
    return name


def require_room(folder: Path) -> None:
    """Find out now whether a server's document and log can be written there.

    Raises:
        EnvironmentUnfit: the disk is full; a server would end there without a word of why.
    """
    import tempfile

    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_ROOM_BYTES))
            file.flush()
    except OSError as fault:
        raise EnvironmentUnfit(
            f"a server's state and log cannot be written: {fault.strerror}",
            evidence=str(folder),
            next_step=f"Make room there, or set {STATE_VARIABLE} to a folder on another disk.",
        ) from fault


class Registry:
    """Endpoints on record in one folder; without one named, in the user's own."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = servers_folder() if folder is None else folder.absolute()

    def document_path(self, name: str) -> Path:
        """Where the document of `name` is kept."""
        return self.folder / f"{valid_name(name)}.json"

    def log_path(self, name: str) -> Path:
        """Where the log of `name` is kept unless its starter chose another place."""
        return self.folder / f"{valid_name(name)}.log"

    def read(self, name: str) -> Endpoint | None:
        """The endpoint called `name` as it stands on record; `None` when there is none.

        Raises:
            InvalidInput: its document cannot be read: another version of the tool wrote it, or
                the machine lost its power while it was written.
        """
        path = self.document_path(name)
        try:
            return read_document(path, Endpoint)
        except InvalidInput as fault:
            if not path.exists():
                return None
            raise InvalidInput(
                f"the record of the server {name} cannot be read",
                evidence=f"{fault.message}\n{fault.evidence}",
                next_step=f"End that server if it still runs, and remove {path}",
            ) from fault

    @contextmanager
    def claimed(self, name: str) -> Iterator[None]:
        """Hold the right to start a server called `name` for the time of the block.

        Raises:
            EnvironmentUnfit: one of that name is running, or another tool holds the registry.
        """
        with self._locked():
            taken = self._refreshed(name)
            if taken is not None and taken.state in {"starting", "ready"}:
                raise EnvironmentUnfit(
                    f"a server called {name} is already {_running_as(taken)}",
                    evidence=f"process {taken.guard_pid}, bundle {taken.bundle}",
                    next_step=f"Use it, choose another --name, or: trt-nemotron stop {name}",
                )
            if taken is not None:
                self.document_path(name).unlink(missing_ok=True)
            self._prune_logs()
            yield

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Every endpoint, by name; what has become stale is cleaned first."""
        if not self.folder.is_dir():
            return ()
        with self._locked():
            names = sorted(path.stem for path in self.folder.glob("*.json"))
            found = [self._refreshed(name) for name in names if NAME_PATTERN.fullmatch(name)]
        return tuple(endpoint for endpoint in found if endpoint is not None)

    def forget(self, name: str, instance: str) -> None:
        """Remove the document of `name`, if it is still the one of that instance."""
        with self._locked():
            endpoint = self.read(name)
            if endpoint is not None and endpoint.instance == instance:
                self.document_path(name).unlink(missing_ok=True)

    def _refreshed(self, name: str) -> Endpoint | None:
        """The endpoint as it is, when its guard may have been killed: the lock must be held."""
        endpoint = self.read(name)
        if endpoint is None or is_guarded(endpoint):
            return endpoint
        endpoint = self.read(name)  # what the guard wrote last, before it ended
        if endpoint is None or endpoint.state not in {"starting", "ready"}:
            return endpoint
        end_remains(endpoint)
        if endpoint.state == "starting":  # whoever waited for it was told, or was killed as well
            self.document_path(name).unlink(missing_ok=True)
            return None
        crashed = _crashed(endpoint)
        write_document(self.document_path(name), crashed)
        return crashed

    @contextmanager
    def _locked(self) -> Iterator[None]:
        from filelock import FileLock, Timeout

        self._make_private_folder()
        lock = FileLock(self.folder / ".lock", timeout=_LOCK_TIMEOUT_S, mode=0o600)
        try:
            lock.acquire()
        except Timeout as fault:
            raise EnvironmentUnfit(
                f"another trt-nemotron has held {self.folder} for {_LOCK_TIMEOUT_S:.0f} s",
                next_step="Wait until it has started its server, or end it.",
            ) from fault
        try:
            yield
        finally:
            lock.release()

    def _make_private_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.folder.chmod(0o700)
        except OSError as fault:
            raise EnvironmentUnfit(
                f"cannot keep state in {self.folder}",
                evidence=str(fault),
                next_step=f"Set {STATE_VARIABLE} to a folder of yours.",
            ) from fault

    def _prune_logs(self) -> None:
        """Drop the oldest logs of servers that are no longer on record."""
        logs = [
            path for path in self.folder.glob("*.log") if not path.with_suffix(".json").exists()
        ]
        logs.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for path in logs[_KEPT_LOGS:]:
            path.unlink(missing_ok=True)


def is_guarded(endpoint: Endpoint) -> bool:
    """Whether the process that holds this server lives."""
    return find_process(endpoint.guard_pid, endpoint.guard_started) is not None


def observe(endpoint: Endpoint, now: float | None = None) -> EndpointStatus:
    """The endpoint with what the operating system says of its server.

    Args:
        endpoint: as the registry has it.
        now: seconds since the epoch; the clock's without it.
    """
    process = find_process(endpoint.server_pid, endpoint.server_started)
    if process is None:
        return EndpointStatus(endpoint=endpoint)
    return EndpointStatus(
        endpoint=endpoint,
        uptime_s=max(0.0, (time.time() if now is None else now) - endpoint.server_started),
        rss_bytes=resident_bytes(_first_process(endpoint) or process),
    )


def _first_process(endpoint: Endpoint) -> "psutil.Process | None":
    """Of a server in a container: the process on record is only the engine's client."""
    import psutil

    if not endpoint.engine:
        return None
    pid = container_pid(endpoint.engine, endpoint.container, run)
    try:
        return psutil.Process(pid) if pid else None
    except psutil.NoSuchProcess:
        return None


def list_endpoints(folder: Path | None = None) -> tuple[EndpointStatus, ...]:
    """Every endpoint on record with what is true of it now; stale ones are cleaned first."""
    endpoints = Registry(folder).endpoints()
    return tuple(observe(endpoint) for endpoint in endpoints)


def _running_as(endpoint: Endpoint) -> str:
    return f"running at {endpoint.url}" if endpoint.state == "ready" else "being started"


def _crashed(endpoint: Endpoint) -> Endpoint:
    from msgspec.structs import replace

    return replace(endpoint, state="crashed", reason=_GUARD_GONE)
