"""The URL of a server, as people type it."""

import re
from urllib.parse import urlsplit

from trt_nemotron.errors import InvalidInput

NOT_IN_A_ROOT = frozenset("@?# ")
"""A password, a query, a fragment, a slip of the finger: none belongs into a server's root."""


def normalize_url(url: str) -> str:
    """Root of a server: scheme and host, no `/v1`, no slash at the end.

    Raises:
        InvalidInput: not an http or https URL with a host.
    """
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number or too large, a bracket that does not close
        is_usable = False
    if not is_usable or NOT_IN_A_ROOT & set(url):
        raise InvalidInput(
            "this is not the URL of a server",
            evidence=redact_url(url),
            next_step="Give it as http://HOST:PORT, and a key by --api-key-env.",
        )
    path = parts.path.rstrip("/").removesuffix("/v1").rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path}"


def redact_url(url: str) -> str:
    """The URL without what may be a password: all between `//` and the last `@`."""
    return re.sub(r"//.*@", "//***@", url)
