"""A loopback server that knows what it sent and when: the truth that figures are compared with.

    python -I -S truth_server.py

Prints its port, serves until standard input ends. One thread, non-blocking, so that streams do not
delay each other more than they must. `POST /v1/chat/completions` is answered as the request's
`scenario` field says (`SCENARIOS`), by default with `max_tokens` chunks `interval_ms` apart, the
first after `ttft_ms`. `GET /truth` gives what was sent: for every request the time at which the
kernel received it and the times just before each token chunk was handed to the kernel, by the
monotonic clock.

What the request leaves open may stand in front of the path, as quoted JSON. `from` is the number of
the first request that a scenario is for, `every` says that it is for one in so many; the others are
answered well. At request `pause_at` the whole server stands still for `pause_ms`; a prompt of more
than `most_prompt` tokens is refused.

A scenario is a list of steps; a step is (milliseconds to wait, bytes to send, token or not) or one
of the words `close`, `reset`, `hang`.
"""

import json
import selectors
import socket
import struct
import sys
import time
from urllib.parse import unquote

HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
SO_TIMESTAMPNS = 35
RESET = struct.pack("ii", 1, 0)


def event(tree, end="\n"):
    text = tree if isinstance(tree, str) else json.dumps(tree, ensure_ascii=False)
    return f"data: {text}{end}{end}".encode()


def delta(text, kind="content", counted=None):
    more = {"usage": counted} if counted else {}
    return event({"choices": [{"index": 0, "delta": {kind: text}}], **more})


def role():
    tree = {"role": "assistant", "content": None}
    return event({"choices": [{"index": 0, "delta": tree, "finish_reason": None}]})


def finish(reason="length", counted=None):
    more = {"usage": counted} if counted else {}
    return event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}], **more})


def prompt_tokens(ask):
    """Seven for the template, one for each word of the whole conversation."""
    return 7 + sum(len((message["content"] or "").split()) for message in ask["messages"])


def usage(ask, made=None):
    made = ask["max_tokens"] if made is None else made
    prompt = prompt_tokens(ask)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": made,
        "total_tokens": prompt + made,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


def usage_event(ask, made=None):
    return event({"choices": [], "usage": usage(ask, made)})


DONE = event("[DONE]")


def plain(ask, text="word "):
    """(wait, bytes, is_token) of a whole good answer, one token a chunk."""
    count, interval = ask["max_tokens"], ask["interval_ms"]
    steps = [(0, role(), False)]
    steps += [(ask["ttft_ms"] if i == 0 else interval, delta(text), True) for i in range(count)]
    return [*steps, (0, finish() + usage_event(ask) + DONE, False), "end"]


def cut(ask, ending, after=3):
    return [*plain(ask)[: 1 + after], (ask["interval_ms"], b"", False), ending]


def reasoning_first(ask):
    steps = plain(ask)
    for place in range(1, 1 + ask["max_tokens"] // 2):
        steps[place] = (steps[place][0], delta("think ", "reasoning_content"), True)
    return steps


def several_tokens(ask):
    half = ask["max_tokens"] // 2
    steps = [(0, role(), False)]
    steps += [
        (ask["ttft_ms"] if i == 0 else ask["interval_ms"], delta("two words "), True)
        for i in range(half)
    ]
    return [*steps, (0, finish() + usage_event(ask) + DONE, False), "end"]


def paired_events(ask):
    """Two events in every segment."""
    steps = plain(ask)
    tokens = steps[1 : 1 + ask["max_tokens"]]
    paired = [(wait, data * 2, True) for wait, data, _ in tokens[: len(tokens) // 2]]
    return [steps[0], *paired, *steps[1 + ask["max_tokens"] :]]


def split_events(ask, text="né\U0001f600 "):
    """Every event in three segments, cut inside a character; it is there with the last of them."""
    steps = []
    for step in plain(ask, text):
        if step == "end" or not step[2]:
            steps.append(step)
            continue
        wait, data, _ = step
        middle = data.index("\U0001f600".encode()) + 2
        steps += [(wait, data[:9], False), (0.2, data[9:middle], False), (0.2, data[middle:], True)]
    return steps


def split_characters(ask, text="né\U0001f600 "):
    """Every event in two segments, cut inside a character of four bytes."""
    steps = []
    for step in plain(ask, text):
        if step == "end" or not step[2]:
            steps.append(step)
            continue
        middle = step[1].index("\U0001f600".encode()) + 2
        steps += [(step[0], step[1][:middle], False), (0.2, step[1][middle:], True)]
    return steps


def commented(ask):
    steps = []
    for step in plain(ask):
        if step != "end" and step[2]:
            steps.append((0, b": keep-alive\n\n", False))
        steps.append(step)
    return steps


def with_crlf(ask):
    return [s if s == "end" else (s[0], s[1].replace(b"\n", b"\r\n"), s[2]) for s in plain(ask)]


def with_both_line_ends(ask):
    """CRLF and LF by turns."""
    steps = [s if s == "end" else list(s) for s in plain(ask)]
    for step in steps[:-1:2]:
        step[1] = step[1].replace(b"\n", b"\r\n")
    return [s if s == "end" else tuple(s) for s in steps]


def early_blank(ask):
    """White space, empty text and a comment long before anything was computed."""
    steps = plain(ask)
    early = delta("\n", "reasoning_content") + delta("") + b": ping\n\n"
    return [steps[0], (0, early, False), *steps[1:]]


def usage_beside_finish(ask):
    steps = plain(ask)
    return [*steps[:-2], (0, finish(counted=usage(ask)) + DONE, False), "end"]


def usage_beside_last_token(ask):
    """The last token, the finish reason and the usage in one event."""
    steps = plain(ask)
    choice = {"index": 0, "delta": {"content": "word "}, "finish_reason": "length"}
    last = event({"choices": [choice], "usage": usage(ask)})
    return [*steps[:-3], (steps[-3][0], last, True), (0, DONE, False), "end"]


def running_usage(ask):
    """Usage in every chunk (`continuous_usage_stats`); the first chunk holds four tokens."""
    steps = [(0, role(), False)]
    made = 0
    for place in range(ask["max_tokens"] - 3):
        made += 4 if place == 0 else 1
        wait = ask["ttft_ms"] if place == 0 else ask["interval_ms"]
        steps.append((wait, delta("word ", counted=usage(ask, made)), True))
    return [*steps, (0, finish() + usage_event(ask) + DONE, False), "end"]


def tool_call(ask):
    steps = plain(ask)
    for place in range(1, 1 + ask["max_tokens"]):
        call = {"index": 0, "function": {"name": "f" if place == 1 else None, "arguments": "x"}}
        tree = {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}
        steps[place] = (steps[place][0], event(tree), True)
    return steps


def stalled(ask):
    """One gap of 60 ms in the middle."""
    steps = plain(ask)
    middle = ask["max_tokens"] // 2
    steps[middle] = (60, steps[middle][1], True)
    return steps


def without(ask, *, done=True, finished=True):
    steps = plain(ask)
    last = (finish() if finished else b"") + usage_event(ask) + (DONE if done else b"")
    return [*steps[:-2], (0, last, False), "end"]


def in_band_error(ask):
    error = event({"error": {"message": "CUDA out of memory", "code": 500}})
    return [*plain(ask)[:4], (1, error + DONE, False), "end"]


def too_short(ask):
    made = ask["max_tokens"] - 2
    steps = plain(ask)
    return [*steps[: 1 + made], (0, finish("stop") + usage_event(ask, made) + DONE, False), "end"]


def endless(ask):
    return [*plain(ask)[:-2], *[(5, delta("more "), True)] * 10_000]


def nothing_said(ask):
    return [(0, role() + finish("stop") + usage_event(ask) + DONE, False), "end"]


def status(code, text, headers=""):
    body = json.dumps({"error": {"message": text, "code": code}}).encode()
    head = f"HTTP/1.1 {code} X\r\nContent-Type: application/json\r\n{headers}"
    return [(0, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body, False), "next"]


GOOD = {
    "plain": plain,
    "numbered": lambda ask: plain(ask, f"n{ask['number']} "),
    "reasoning first": reasoning_first,
    "several tokens a chunk": several_tokens,
    "two events a segment": paired_events,
    "events split over segments": split_events,
    "bytes split inside a character": split_characters,
    "comments between events": commented,
    "crlf": with_crlf,
    "crlf and lf": with_both_line_ends,
    "blank before the first token": early_blank,
    "usage beside the finish reason": usage_beside_finish,
    "usage in the last content chunk": usage_beside_last_token,
    "usage in every chunk": running_usage,
    "tool call": tool_call,
    "stall": stalled,
    "null finish reasons and no usage": lambda ask: [
        s if s == "end" else (s[0], s[1].replace(usage_event(ask), b""), s[2]) for s in plain(ask)
    ],
}
BAD = {
    "no done": lambda ask: without(ask, done=False),
    "no finish reason": lambda ask: without(ask, finished=False),
    "nothing said": nothing_said,
    "error in band": in_band_error,
    "not json": lambda ask: [*plain(ask)[:4], (0, b"data: {oops\n\n", False), "end"],
    "fin in the middle": lambda ask: cut(ask, "close"),
    "fin before anything": lambda _: ["close without head"],
    "reset in the middle": lambda ask: cut(ask, "reset"),
    "429": lambda _: status(429, "slow down", "Retry-After: 3\r\n"),
    "503": lambda _: status(503, "loading"),
    "too long": lambda ask: status(400, f"the context has {ask['most_prompt']} tokens"),
    "never ending": endless,
    "head, then nothing": lambda _: ["hang"],
    "not even a head": lambda _: ["hang without head"],
    "too short": too_short,
    "web page": lambda _: [(0, b"<html>hello</html>\n", False), "end"],
    "not http": lambda _: [(0, b"SSH-2.0-OpenSSH_9.2\r\n", False), "next"],
    "broken chunk framing": lambda _: [(0, b"zz\r\n", False), "next"],
    "end never told": lambda ask: [*plain(ask)[:-1], "hang"],
}
SCENARIOS = {**GOOD, **BAD}
WITHOUT_HEAD = {"fin before anything", "429", "503", "too long", "not even a head", "not http"}


def arrival_ns(ancillary):
    """When the kernel received what was just read, by the monotonic clock; else now."""
    now, wall = time.monotonic_ns(), time.time_ns()
    for _, kind, data in ancillary:
        if kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = struct.unpack("@ll", data)
            return now - (wall - seconds * 10**9 - nanoseconds)
    return now


class Client:
    def __init__(self, connection) -> None:
        self.connection = connection
        self.received = b""
        self.steps = []
        self.due_ns = 0
        self.is_chunked = True
        self.is_kept = True
        self.log = None

    @property
    def is_streaming(self):
        return bool(self.steps)


class TruthServer:
    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.clients = {}
        self.truth = []
        self.connections = 0

    def serve(self):
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.selector.register(sys.stdin, selectors.EVENT_READ)
        print(self.listener.getsockname()[1], flush=True)
        while True:
            for key, _ in self.selector.select(self.timeout_s()):
                if key.fileobj is sys.stdin:
                    return
                if key.fileobj is self.listener:
                    self.accept()
                elif key.fileobj in self.clients:
                    self.read(self.clients[key.fileobj])
            for client in list(self.clients.values()):
                while client.is_streaming and client.due_ns <= time.monotonic_ns():
                    self.step(client)

    def timeout_s(self):
        due = [client.due_ns for client in self.clients.values() if client.is_streaming]
        return max(0.0, (min(due) - time.monotonic_ns()) / 1e9) if due else None

    def accept(self):
        connection, _ = self.listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if sys.platform == "linux":
            connection.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.connections += 1
        self.clients[connection] = Client(connection)
        self.selector.register(connection, selectors.EVENT_READ)

    def read(self, client):
        try:
            data, ancillary, _, _ = client.connection.recvmsg(1 << 20, 64)
        except OSError:
            data, ancillary = b"", []
        if not data:
            self.drop(client)
            return
        now = arrival_ns(ancillary)
        client.received += data
        head, blank, body = client.received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or b"0")
        if not blank or len(body) < length:
            return
        client.received = b""
        path = head.split()[1].decode()
        if path.endswith("/v1/chat/completions"):
            wishes = unquote(path.removesuffix("/v1/chat/completions"))[1:]
            self.begin(client, {**json.loads(wishes or "{}"), **json.loads(body)}, now)
        elif path.endswith("/truth"):
            self.reply(client, {"requests": self.truth, "connections": self.connections})
        elif path.endswith("/v1/models"):
            self.reply(client, {"data": [{"id": "truth"}]})
        else:
            client.steps = status(404, "no such path")
            client.is_chunked, client.due_ns = False, now

    def reply(self, client, tree):
        body = json.dumps(tree).encode()
        self.send(client, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    def begin(self, client, ask, now):
        usual = {"ttft_ms": 5.0, "interval_ms": 2.0, "scenario": "plain", "body": "chunked"}
        ask = {**usual, **ask, "number": len(self.truth)}
        if ask["number"] == ask.get("pause_at"):
            time.sleep(ask["pause_ms"] / 1e3)  # the whole server stands still
        place = len(self.truth) - ask.get("from", 0)
        if place < 0 or place % ask.get("every", 1):
            ask["scenario"] = "plain"
        if prompt_tokens(ask) > ask.get("most_prompt", 1 << 30):
            ask["scenario"] = "too long"
        client.log = {"received_ns": now, "scenario": ask["scenario"], "tokens_ns": [], "ask": ask}
        self.truth.append(client.log)
        client.is_chunked = ask["body"] == "chunked"
        client.is_kept = not ask.get("is_closing") and ask["body"] != "until close"
        client.steps = list(SCENARIOS[ask["scenario"]](ask))
        client.due_ns = now
        if ask["scenario"] in WITHOUT_HEAD:
            client.is_chunked = False
            return
        head = HEAD + ("" if client.is_kept else "Connection: close\r\n")
        if client.is_chunked:
            head += "Transfer-Encoding: chunked\r\n"
        elif ask["body"] == "length":
            size = sum(len(step[1]) for step in client.steps if not isinstance(step, str))
            head += f"Content-Length: {size}\r\n"
        self.send(client, (head + "\r\n").encode())
        if ask["scenario"] == "broken chunk framing":
            client.is_chunked = False
        if not isinstance(client.steps[0], str):
            client.due_ns = now + int(client.steps[0][0] * 1e6)

    def step(self, client):
        step = client.steps.pop(0)
        if isinstance(step, str):
            self.end(client, step)
            return
        _, data, is_token = step
        if data:
            if client.is_chunked:
                data = b"%x\r\n%b\r\n" % (len(data), data)
            if is_token:
                client.log["tokens_ns"].append(time.monotonic_ns())
            self.send(client, data)
        if client.steps and not isinstance(client.steps[0], str):
            client.due_ns += int(client.steps[0][0] * 1e6)

    def end(self, client, how):
        if how.startswith("hang"):
            client.steps = []
        elif how.startswith("close"):
            self.drop(client)
        elif how == "reset":
            client.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.drop(client)
        elif how == "end":
            if client.is_chunked:
                self.send(client, b"0\r\n\r\n")
            if not client.is_kept:
                self.drop(client)

    def send(self, client, data):
        try:
            client.connection.sendall(data)
        except OSError:
            self.drop(client)

    def drop(self, client):
        client.steps = []
        if self.clients.pop(client.connection, None) is not None:
            self.selector.unregister(client.connection)
            client.connection.close()


if __name__ == "__main__":
    TruthServer().serve()
