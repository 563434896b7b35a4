"""Stopping a server that another process holds, or nobody any more."""

import time
from collections.abc import Sequence
from contextlib import suppress

from msgspec.structs import replace

from trt_nemotron.deploy.serving.processes import find_process
from trt_nemotron.deploy.serving.registry import Registry, is_guarded
from trt_nemotron.deploy.serving.remains import end_remains
from trt_nemotron.deploy.serving.running import GRACE_S, GUARD_MARGIN_S
from trt_nemotron.deploy.serving.values import Endpoint
from trt_nemotron.errors import InvalidInput

_POLL_S = 0.02


def stop_endpoint(name: str, *, registry: Registry | None = None) -> Endpoint:
    """Stop a server this tool started, whichever process holds it, and forget the endpoint.

    One that has crashed is only forgotten.

    Raises:
        InvalidInput: no endpoint of that name is on record.
    """
    registry = registry or Registry()
    endpoint = require_endpoint(name, registry.endpoints())
    _end_guard(endpoint)
    end_remains(endpoint)
    registry.forget(name, endpoint.instance)
    return replace(endpoint, state="stopped")


def require_endpoint(name: str, known: Sequence[Endpoint]) -> Endpoint:
    """The endpoint called `name` among those on record.

    Raises:
        InvalidInput: there is none.
    """
    for endpoint in known:
        if endpoint.name == name:
            return endpoint
    raise InvalidInput(
        f"no server called {name} is on record",
        evidence=f"on record: {', '.join(endpoint.name for endpoint in known) or 'none'}",
        next_step="See: trt-nemotron status",
    )


def _end_guard(endpoint: Endpoint) -> None:
    import psutil

    process = find_process(endpoint.guard_pid, endpoint.guard_started)
    if process is None:
        return
    with suppress(psutil.NoSuchProcess):
        process.terminate()
        if not _is_gone_within(endpoint, GRACE_S + GUARD_MARGIN_S):
            process.kill()
            _is_gone_within(endpoint, GUARD_MARGIN_S)


def _is_gone_within(endpoint: Endpoint, timeout_s: float) -> bool:
    """Whether the guard ends in time. One whose parent has not yet waited for it has ended."""
    deadline = time.monotonic() + timeout_s
    while is_guarded(endpoint):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True
