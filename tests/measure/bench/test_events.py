"""Events of an answer: read at one go they are what they are one by one, however they were cut."""

import json
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from trt_nemotron.measure.bench.events import read_events
from trt_nemotron.openai.chunk import Usage, parse_chunk
from trt_nemotron.openai.sse import EventStream


def event(delta: object, finish_reason: str | None = None, **other: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return json.dumps({"choices": [choice], **other}, ensure_ascii=False).encode()


USAGE = {"prompt_tokens": 3, "completion_tokens": 7, "total_tokens": 10}
DATA = [
    event({"role": "assistant", "content": ""}),
    event({"content": " word"}),
    event({"content": "é\u2028"}),
    event({"content": "  "}),
    event({"reasoning_content": "why"}),
    event({"reasoning": "why"}),
    event({"content": "a"}, usage={**USAGE, "completion_tokens": 1}),
    event({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "{"}}]}),
    event({}, "stop"),
    event({"content": "."}, "length"),
    json.dumps({"choices": [], "usage": USAGE}).encode(),
    json.dumps({"choices": [{"delta": {"content": "é"}}]}).encode(),
    b'{"error":{"message":"no room"}}',
    b'{"object":"error","message":"no memory"}',
    b'{"choices":[{"delta":{"content":"\xff\xed\xa0\x80"}}],"x":"\xc3"}',
    b'{"choices":[{"delta":{"content":"a"}}],"x":"\\ud800"}',
    b'{"choices":[{"delta":{"content":"cut',
    b"[DONE]",
    b"",
]
PLAIN = b"data: %b\n\n"
FRAMES = [PLAIN, PLAIN, b"data:%b\n\n", b"data: %b\r\n\r\n", b": x\n\n%.0b", b"%.0b\n"]


def bodies(frames: list[bytes]) -> st.SearchStrategy[bytes]:
    data = st.sampled_from(DATA) | st.binary(max_size=9)
    events = st.lists(st.tuples(st.sampled_from(frames), data), max_size=9)
    return events.map(lambda found: b"".join(frame % said for frame, said in found))


BODIES = bodies([PLAIN]) | bodies(FRAMES)
CUTS = st.lists(st.integers(min_value=0, max_value=2000), max_size=12)


def cut(body: bytes, cuts: list[int]) -> list[tuple[int, bytes]]:
    places = sorted({0, len(body), *(place % (len(body) + 1) for place in cuts)})
    return [(1000 + end, body[begin:end]) for begin, end in pairwise(places)]


@settings(max_examples=600, deadline=None)
@given(BODIES, CUTS, st.integers(0, 2))
@example(b"data: %b\n\ndata: %b\n\n" % (event({}, "stop"), event({}, "length")), [], 0)
@example(b'data: {"choices":[{"delta":{"content":"a"}}],"x":"\\ud800"}\n\n', [], 0)
def test_at_one_go_says_what_event_by_event_says(body: bytes, cuts: list[int], missing: int):
    pieces = cut(body[: len(body) - missing], cuts)
    stream = EventStream()
    expected = [(at, parse_chunk(text)) for at, piece in pieces for text in stream.feed(piece)]
    found = read_events(pieces, origin_ns=400)
    assert [
        (chunk.received_ns + 400, chunk.kind.replace("blank", "empty"), chunk.characters)
        for chunk in found.chunks
    ] == [(at, chunk.kind, chunk.characters) for at, chunk in expected]
    chunks = [chunk for _, chunk in expected]
    usages = [chunk.usage for chunk in chunks if chunk.usage is not None]
    assert found.usage == (usages[-1] if usages else Usage())
    assert [c.tokens_so_far for c in found.chunks if c.tokens_so_far >= 0] == [
        usage.completion_tokens for usage in usages if usage.completion_tokens >= 0
    ]
    assert found.error == next((chunk.error for chunk in chunks if chunk.kind == "error"), "")
    reasons = [chunk.finish_reason for chunk in chunks if chunk.finish_reason]
    assert found.finish_reason == (reasons[0] if reasons else "")


def test_an_event_is_there_with_its_last_byte():
    whole = b"data: " + event({"content": "a"}) + b"\n\n"
    pieces = [(1, whole + whole[:-1]), (2, whole[-1:]), (3, whole)]
    assert [chunk.received_ns for chunk in read_events(pieces).chunks] == [1, 2, 3]


def test_white_space_alone_is_blank_and_nothing_is_empty():
    body = b"".join(b"data: %b\n\n" % event({"content": text}) for text in ("", " \n", "a"))
    assert [chunk.kind for chunk in read_events([(0, body)]).chunks] == [
        "empty",
        "blank",
        "content",
    ]
