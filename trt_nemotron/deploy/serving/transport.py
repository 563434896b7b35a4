"""How readiness asks a server: one request, one reply, over loopback and past every proxy."""

import json
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered: HTTP status and body, or `fault` when no whole answer came."""

    status: int = 0
    body: bytes = b""
    fault: str = ""

    def json(self) -> Any:
        """The body as JSON, or `None` when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def summary(self) -> str:
        """The reply in one short line, for people."""
        if self.fault:
            return self.fault
        return f"HTTP {self.status} {self.body[:200].decode(errors='replace')}".strip()


class Transport(Protocol):
    """Sends one request and never raises for what the network or the server does."""

    def __call__(
        self, url: str, body: object | None, timeout_s: float, *, api_key: str = ""
    ) -> Reply:
        """POST `body` as JSON, or GET without one."""


def send(url: str, body: object | None, timeout_s: float, *, api_key: str = "") -> Reply:
    """The real transport. A connection for each request: the server may be a new one each time.

    Args:
        url: what to ask.
        body: sent as JSON by POST; GET without one.
        timeout_s: seconds until it counts as no answer.
        api_key: sent as bearer token, when there is one.
    """
    import requests

    with requests.Session() as session:
        session.trust_env = False  # a proxy for the outside must not see loopback, nor break it
        if api_key:
            session.headers["Authorization"] = f"Bearer {api_key}"
        try:
            if body is None:
                answer = session.get(url, timeout=timeout_s, allow_redirects=False)
            else:
                answer = session.post(url, json=body, timeout=timeout_s, allow_redirects=False)
        except requests.Timeout:
            return Reply(fault=f"no answer within {timeout_s:.1f} s")
        except requests.ConnectionError:
            return Reply(fault="no connection")
        except requests.RequestException as fault:
            return Reply(fault=f"broken answer: {fault}")
        return Reply(status=answer.status_code, body=answer.content)
