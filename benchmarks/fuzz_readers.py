"""Feed the readers of the measuring client what no server should send, in whatever pieces.

    python -m benchmarks.fuzz_readers [--cases 10000000] [--seed 1] [--processes 1]

A case is a stream and a way to cut it into reads. Streams are valid ones of every shape, most of
them then damaged: bytes flipped, cut out, doubled, put in. What our readers make of a case must be
what readers make of the whole stream that are so simple that they can be seen to be right
(`reference_readers.py`): the same events, the same body, an end that is told at the read that
brings it and at no other, and nothing raised but `NotHttp`. A case that takes seconds is a hang.

The same seed gives the same cases. Prints what was run and found as JSON; exit code 1 for findings.
"""

import argparse
import json
import random
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from types import FrameType

from benchmarks.reference_readers import Answer, read_answer, read_events
from trt_nemotron.measure.bench.wire.framing import EndDetector, NotHttp
from trt_nemotron.measure.bench.wire.http_response import read_response
from trt_nemotron.openai.sse import EventStream

HANG_S = 5
CUTS_PER_STREAM = 4
MOST_FINDINGS = 20
SLICE = 50_000
"""Cases that share a generator: the unit that processes take."""

EVENT_LINES = (
    b'data: {"choices":[{"delta":{"content":" word"}}]}', b"data: [DONE]", b"data: ",
    b"data:", b"data", b"data:  two", b"data:\xc3\xa9\xf0\x9f\x98\x80", b"data: \xe2\x80\xa8\x85",
    b": keep-alive", b":", b"id: 1", b"event: x", b"retry: 5", b"dat", b"datum: x", b" data: x",
    b"\xef\xbb\xbfdata: x", b"data: \xff\xfe\xc3", b"\x00", b"data: \x0b\x0c\x1c\x00",
)  # fmt: skip
LINE_ENDS = (b"\n", b"\r\n", b"\r", b"\n\n", b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r")
HEADERS = (
    b"Content-Type: text/event-stream", b"Connection: close", b"connection:keep-alive", b"X:",
    b"Content-Length: 4", b"Content-Length: 12", b"content-length:0", b"Content-Length: -1",
    b"Content-Length: 99999999999999999999", b"Content-Length: 1 2", b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked", b"transfer-encoding:Chunked", b"Transfer-Encoding: gzip",
    b"Transfer-Encoding: unchunked", b"no colon",
)  # fmt: skip
STATUS_LINES = (
    b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK",
    b"HTTP/1.1 503 -", b"HTTP/1.1 204 -", b"HTTP/1.1 101 -", b"HTTP/1.1 304", b"HTTP/1.1 2x0 OK",
    b"HTTP/2 200", b"HTTP/1.1  200", b"SSH-2.0",
)  # fmt: skip
EXTENSIONS = (b"", b"", b"", b"", b";a=b", b" ;a", b"\t", b";\r", b";x\ny", b"\x0b")
TRAILERS = (b"", b"", b"", b"X: y\r\n", b"X: y\r\nZ\r\n", b"\n", b"X\ny\r\n", b" \r\n")
SIZES = (b"-5", b"0x5", b"ffffffffffffffff", b"7fffffffffffffff", b"+3", b"", b"g", b"00", b"1_0")
SURPLUS = (b"", b"", b"", b"\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"junk", b"0\r\n\r\n")


@dataclass(frozen=True, slots=True)
class Finding:
    """One case that went wrong, with all that is needed to see it again."""

    reader: str
    wrong: str
    stream: str
    ends: list[int]


@dataclass(slots=True)
class Tally:
    """What was run and found; `findings` keeps the first few of all that were counted."""

    cases: int = 0
    wrong: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def note(self, finding: Finding) -> None:
        """Count a finding by its kind."""
        kind = f"{finding.reader}: {finding.wrong.partition(':')[0]}"
        self.wrong[kind] = self.wrong.get(kind, 0) + 1
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(finding)

    def add(self, other: "Tally") -> None:
        """Take over what another process found."""
        self.cases += other.cases
        for kind, count in other.wrong.items():
            self.wrong[kind] = self.wrong.get(kind, 0) + count
        self.findings = (self.findings + other.findings)[:MOST_FINDINGS]


class Hung(Exception):
    """A case did not end."""


# ---- streams ---------------------------------------------------------------------------------


def make_events(rng: random.Random) -> bytes:
    """An event stream of a few lines, the first of them at times with a byte order mark."""
    parts = [b"\xef\xbb\xbf"] if rng.random() < 0.1 else []
    for _ in range(rng.randrange(1, 10)):
        parts += (rng.choice(EVENT_LINES), rng.choice(LINE_ENDS))
    if rng.random() < 0.002:
        parts.insert(rng.randrange(len(parts)), b"data: " + b"x" * rng.randrange(3_000))
    return b"".join(parts)


def make_answer(rng: random.Random) -> bytes:
    """An HTTP answer: interim heads, a head, a body, and at times what does not belong to it."""
    parts = [b"HTTP/1.1 100 Continue\r\n\r\n"] if rng.random() < 0.1 else []
    parts += (rng.choice(STATUS_LINES), b"\r\n")
    is_chunked = rng.random() < 0.7
    if is_chunked:
        parts.append(b"Transfer-Encoding: chunked\r\n")
    for _ in range(rng.choice((0, 0, 0, 1, 2))):
        parts += (rng.choice(HEADERS), b"\r\n")
    if rng.random() < 0.0005:
        parts += (b"X: ", b"y" * rng.randrange(70_000), b"\r\n")
    parts.append(b"\r\n")
    parts += make_chunks(rng) if is_chunked else [rng.randbytes(rng.randrange(30))]
    parts.append(rng.choice(SURPLUS))
    return b"".join(parts)


def make_chunks(rng: random.Random) -> Iterator[bytes]:
    """A chunked body."""
    for _ in range(rng.randrange(4)):
        piece = rng.randbytes(rng.randrange(1, 20)) if rng.random() < 0.7 else b"0\r\n\r\n"
        size = rng.choice(SIZES) if rng.random() < 0.03 else b"%x" % len(piece)
        yield b"%b%b\r\n%b\r\n" % (size, rng.choice(EXTENSIONS), piece)
    if rng.random() < 0.002:
        yield b"1;%b\r\nx\r\n" % (b"y" * rng.randrange(2_000))
    if rng.random() < 0.9:
        yield b"0\r\n%b\r\n" % rng.choice(TRAILERS)


def damage(stream: bytes, rng: random.Random) -> bytes:
    """Half of the streams as they are, the others with up to three wounds."""
    if rng.random() < 0.5:
        return stream
    for _ in range(rng.randrange(1, 4)):
        if not stream:
            break
        begin = rng.randrange(len(stream))
        end = min(len(stream), begin + rng.randrange(1, 9))
        kind = rng.randrange(5)
        if kind == 0:
            flipped = stream[begin] ^ (1 << rng.randrange(8))
            stream = b"%b%c%b" % (stream[:begin], flipped, stream[begin + 1 :])
        elif kind == 1:
            stream = stream[:begin] + stream[end:]
        elif kind == 2:
            stream = stream[:end] + stream[begin:]
        elif kind == 3:
            stream = stream[:begin] + rng.choice((b"\r", b"\n", b"\r\n", b"\x00")) + stream[begin:]
        else:
            stream = stream[:end]
    return stream


def cut(size: int, rng: random.Random) -> list[int]:
    """Where reads end: one for all, a few, or one for each byte."""
    count = rng.choice((0, 1, 2, 3, 5, 8, 1_000))
    if count >= size - 1:
        # A byte a read; of a long stream only the last ones, for each read costs.
        return list(range(max(1, size - 300), size + 1))
    return [*sorted(rng.sample(range(1, size), count)), size]


# ---- cases -----------------------------------------------------------------------------------


def check_events(stream: bytes, ends: list[int], told: tuple[list[str], list[str]]) -> str:
    """What our reader of event streams gets wrong; empty for nothing."""
    reader, events, begin = EventStream(), [], 0
    for end in ends:
        events += reader.feed(stream[begin:end])
        begin = end
    if events != told[0]:
        return f"wrong split: {events!r} instead of {told[0]!r}"
    rest = reader.finish()
    return "" if rest == told[1] else f"wrong rest: {rest!r} instead of {told[1]!r}"


def check_answer(stream: bytes, ends: list[int], told: Answer) -> str:
    """What our HTTP readers get wrong; empty for nothing."""
    wrong = _check_end(stream, ends, told)
    if wrong:
        return wrong
    try:
        body = read_response(stream, ends, ends).body
    except NotHttp as error:
        # Bytes that nothing can make right any more may be refused before the last of them is here.
        is_right = "broken" in {told.verdict, read_answer(stream + b"\r\n\r\n").verdict}
        return "" if is_right else f"refused: {error}"
    if body != told.body:
        return f"wrong body: {body!r} instead of {told.body!r}"
    return ""


def _check_end(stream: bytes, ends: list[int], told: Answer) -> str:
    detector = EndDetector()
    buffer = bytearray(len(stream))  # what has not come yet is not there yet
    begin = 0
    try:
        for end in ends:
            buffer[begin:end] = stream[begin:end]
            begin = end
            if detector.is_ended(buffer, end):
                is_right = told.verdict == "whole" and not told.end > end
                return "" if is_right else f"early end: at {end} of {told.end}, {told.verdict}"
            if told.verdict == "whole" and end >= told.end:
                return f"late end: not at {end}, was at {told.end}"
    except NotHttp as error:
        return "" if told.verdict == "broken" else f"refused: {error}"
    return "" if told.verdict != "broken" else "not refused"


READERS = {
    "events": (make_events, read_events, check_events),
    "http": (make_answer, read_answer, check_answer),
}


def run_slice(seed: int, cases: int) -> Tally:
    """`cases` cases of this seed, the readers by turns."""
    rng = random.Random(seed)
    tally = Tally()
    with watchdog(tally):
        while tally.cases < cases:
            for name, (make, tell, check) in READERS.items():
                stream = damage(make(rng), rng)
                told = tell(stream)
                for _ in range(CUTS_PER_STREAM):
                    tally.cases += 1
                    ends = cut(len(stream), rng) if stream else []
                    try:
                        wrong = check(stream, ends, told)  # type: ignore[operator]
                    except Hung:
                        wrong = "hang"
                    except Exception as error:  # noqa: BLE001 - a crash is what we look for
                        wrong = f"crash: {type(error).__name__}: {error}"
                    if wrong:
                        tally.note(Finding(name, wrong, repr(stream), ends))
    return tally


@contextmanager
def watchdog(tally: Tally) -> Iterator[None]:
    """Raise `Hung` in a case that is still the same after `HANG_S`."""
    seen = -1

    def look(_number: int, _frame: FrameType | None) -> None:
        nonlocal seen
        if tally.cases == seen:
            raise Hung
        seen = tally.cases

    before = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, HANG_S, HANG_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def fuzz(cases: int, seed: int, processes: int) -> Tally:
    """All of them, slice by slice."""
    sizes = [min(SLICE, cases - done) for done in range(0, cases, SLICE)]
    seeds = [seed * 1_000_000 + number for number in range(len(sizes))]
    total = Tally()
    with ProcessPoolExecutor(processes) as pool:
        for number, tally in enumerate(pool.map(run_slice, seeds, sizes), 1):
            total.add(tally)
            if sys.stderr.isatty() or number % 20 == 0:
                print(f"{total.cases:,} of {cases:,} cases: {total.wrong}", file=sys.stderr)
    return total


def main() -> int:
    """Run and tell."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args()
    begin = time.monotonic()
    tally = fuzz(given.cases, given.seed, given.processes)
    took_s = time.monotonic() - begin
    told = {**asdict(tally), "seed": given.seed, "seconds": round(took_s, 1)}
    print(json.dumps({**told, "cases_per_s": round(tally.cases / took_s)}, indent=1))
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
