"""A small client for readiness and smoke checks: whole answers, every failure explained.

It does not measure: latency is the business of `trt_nemotron.measure.bench`, which has a client of
its own.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from trt_nemotron.errors import EndpointUnfit
from trt_nemotron.openai.answer import Answer, StreamEnd, assemble, parse_completion
from trt_nemotron.openai.chunk import Chunk, error_message, parse_chunk
from trt_nemotron.openai.dialect import OPENAI, Dialect, recognize_dialect
from trt_nemotron.openai.refusal import (
    NOT_HERE,
    broken_stream,
    decoded,
    expect_ok,
    not_openai,
    refused,
)
from trt_nemotron.openai.request import ChatRequest, chat_body, encode_body
from trt_nemotron.openai.sse import EventStream
from trt_nemotron.openai.transport import Exchange, Reply, Timeouts, Transport
from trt_nemotron.openai.untrusted import read_json
from trt_nemotron.openai.url import normalize_url

CHAT_PATH = "/v1/chat/completions"

WantsMore = Callable[[Chunk], bool]

_GET_LIMIT_S = 10.0
"""A question about the server itself, which takes no model, is answered by then or not at all."""


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One served model; `context_tokens` where the server tells how long a request may be."""

    id: str
    context_tokens: int | None = None


class Client:
    """Asks one server.

    Args:
        url: root of the server, with or without `/v1`.
        model: the name to ask for; empty leaves it to the server.
        api_key: sent as bearer token, shown nowhere.
    """

    def __init__(
        self,
        url: str,
        *,
        model: str = "",
        dialect: Dialect = OPENAI,
        timeouts: Timeouts | None = None,
        api_key: str | None = None,
    ) -> None:
        self.url = normalize_url(url)
        self.model = model
        self.dialect = dialect
        self.timeouts = timeouts or Timeouts()
        self._api_key = api_key
        self._transport = Transport(self.url, self.timeouts, api_key)
        self._quick_transport = Transport(self.url, self.timeouts.within(_GET_LIMIT_S), api_key)

    def having(
        self,
        *,
        model: str | None = None,
        dialect: Dialect | None = None,
        timeouts: Timeouts | None = None,
    ) -> "Client":
        """The same client with something changed."""
        return Client(
            self.url,
            model=self.model if model is None else model,
            dialect=dialect or self.dialect,
            timeouts=timeouts or self.timeouts,
            api_key=self._api_key,
        )

    def health(self) -> Reply:
        """The answer of `GET /health`, which must be 200.

        Raises:
            EndpointUnfit: the server cannot be reached or says that it is not well.
        """
        return expect_ok(self.get("/health"), self.url + "/health")

    def models(self) -> tuple[ModelEntry, ...]:
        """What `GET /v1/models` lists.

        Raises:
            EndpointUnfit: no answer, or not a list of models.
        """
        reply = expect_ok(self.get("/v1/models"), self.url + "/v1/models")
        tree = decoded(reply, self.url + "/v1/models")
        entries = tree.get("data") if isinstance(tree, dict) else None
        if not isinstance(entries, list):
            raise not_openai(reply, self.url + "/v1/models", "there is no list `data` in it")
        return tuple(_model_entry(entry) for entry in entries)

    def expect_endpoint(self) -> None:
        """Make sure that the URL leads to an OpenAI endpoint, without asking the model anything.

        An empty object is posted where chats are; a server of this kind refuses it in its own way,
        any other has no such place.

        Raises:
            EndpointUnfit: not reachable, no such path, a web page, a redirection, or a key is due.
        """
        url = self.url + CHAT_PATH
        with self._quick_transport.open("POST", CHAT_PATH, b"{}") as exchange:
            reply = exchange.read()
        if reply.status in NOT_HERE or 300 <= reply.status < 400:
            raise refused(reply, url)
        if "text/html" in reply.content_type:
            raise not_openai(reply, url, "it is a web page")

    def slots(self) -> int | None:
        """How many requests are served at the same time, where the server or its dialect tells.

        llama.cpp's server tells it at `GET /props`.
        """
        if self.dialect.slots is not None:
            return self.dialect.slots
        reply = self.get("/props")
        try:
            tree = read_json(reply.body) if reply.status == 200 else None
        except ValueError:
            return None
        return _positive(tree.get("total_slots")) if isinstance(tree, dict) else None

    def detect_dialect(self) -> Dialect:
        """The dialect by what the server says of itself at `GET /openapi.json`."""
        reply = self.get("/openapi.json")
        try:
            description = read_json(reply.body) if reply.status == 200 else None
        except ValueError:
            description = None
        return recognize_dialect(description)

    def chat(self, request: ChatRequest) -> Answer:
        """The answer, asked for in one piece.

        Raises:
            EndpointUnfit: anything but a whole chat completion came back.
        """
        body = chat_body(self._named(request), dialect=self.dialect)
        url = self.url + CHAT_PATH
        reply = expect_ok(self.post(CHAT_PATH, encode_body(body)), url)
        tree = decoded(reply, url)
        message = error_message(tree) if isinstance(tree, dict) else ""
        if message:
            raise EndpointUnfit("status 200 with an error in it", evidence=message)
        return parse_completion(tree, reply.content_type)

    def stream(self, request: ChatRequest, wants_more: WantsMore | None = None) -> Answer:
        """The answer, asked for as a stream and put together.

        Args:
            request: what to ask.
            wants_more: called with every chunk as it comes; when it says no, the connection is
                closed at once and what came so far is the answer, marked as cancelled.

        Raises:
            EndpointUnfit: an error status, an error inside the stream, or an end of the stream
                without a finish reason. A missing `[DONE]` is a fact of the answer, no error.
        """
        body = chat_body(self._named(request), is_streamed=True, dialect=self.dialect)
        with self._transport.open("POST", CHAT_PATH, encode_body(body)) as exchange:
            if exchange.status != 200:
                raise refused(exchange.read(), self.url + CHAT_PATH)
            if "text/html" in exchange.content_type:
                raise not_openai(exchange.read(), self.url + CHAT_PATH, "it is a web page")
            answer = _read_stream(exchange, wants_more or _always)
        if not answer.finish_reason and not answer.is_cancelled:
            raise EndpointUnfit(
                "the stream ended in the middle of the answer, without a finish reason",
                evidence=f"{answer.token_chunks} token chunks; last text: "
                f"{(answer.content or answer.reasoning)[-80:]!r}",
                next_step="See the server's log.",
            )
        return answer

    def get(self, path: str) -> Reply:
        """The answer of a GET, whatever its status."""
        with self._quick_transport.open("GET", path) as exchange:
            return exchange.read()

    def post(self, path: str, body: bytes) -> Reply:
        """The answer of a POST with a JSON body (or what should be one), whatever its status."""
        with self._transport.open("POST", path, body) as exchange:
            return exchange.read()

    def _named(self, request: ChatRequest) -> ChatRequest:
        return replace(request, model=self.model) if self.model and not request.model else request


def _read_stream(exchange: Exchange, wants_more: WantsMore) -> Answer:
    events = EventStream()
    chunks: list[Chunk] = []
    after_done: list[str] = []
    for piece in exchange.pieces():
        for payload in events.feed(piece):
            if chunks and chunks[-1].kind == "done":
                after_done.append(payload)
                continue
            chunk = parse_chunk(payload)
            if chunk.kind == "error":
                raise broken_stream(chunk.error, chunks)
            chunks.append(chunk)
            if not wants_more(chunk):
                return assemble(chunks, StreamEnd(is_cancelled=True), exchange.content_type)
    end = StreamEnd(
        saw_done=bool(chunks) and chunks[-1].kind == "done",
        after_done=tuple(after_done),
        unfinished="".join(events.finish()),
    )
    return assemble(chunks, end, exchange.content_type)


def _always(_: Chunk) -> bool:
    return True


def _model_entry(entry: object) -> ModelEntry:
    name = entry.get("id") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(name, str):
        raise EndpointUnfit("the list of models is malformed", evidence=repr(entry)[:200])
    meta = entry.get("meta")
    told = meta.get("n_ctx") if isinstance(meta, dict) else entry.get("max_model_len")
    return ModelEntry(id=name, context_tokens=_positive(told))


def _positive(value: object) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return value if is_count and isinstance(value, int) else None
