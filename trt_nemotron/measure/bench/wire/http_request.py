"""Requests as bytes, built before the clock runs."""

from trt_nemotron import __version__
from trt_nemotron.errors import InvalidInput
from trt_nemotron.measure.bench.wire.address import Address

CHAT_PATH = "/v1/chat/completions"


def build_request(
    address: Address, method: str, path: str, body: bytes = b"", api_key: str = ""
) -> bytes:
    """A whole HTTP/1.1 request.

    Raises:
        InvalidInput: an API key that cannot stand in a header.
    """
    if any(not 0x20 < ord(character) < 0x7F for character in api_key):
        raise InvalidInput(
            "the API key holds a character that cannot stand in a header",
            next_step="Check the variable named by --api-key-env, for a line end at its end too.",
        )
    lines = [
        f"{method} {address.path}{path} HTTP/1.1",
        f"Host: {address.host_header}",
        f"User-Agent: trt-nemotron/{__version__}",
        "Accept: text/event-stream, application/json",
        "Accept-Encoding: identity",
        "Connection: keep-alive",
    ]
    if api_key:
        lines.append(f"Authorization: Bearer {api_key}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join((*lines, "", "")).encode("latin-1") + body
