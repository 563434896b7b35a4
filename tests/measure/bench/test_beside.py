"""What is read beside legs: the server's own pages over real sockets, and energy's reasons."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from trt_nemotron.errors import EndpointUnfit
from trt_nemotron.measure.bench.beside import Beside, open_beside
from trt_nemotron.measure.bench.clock import SystemClock
from trt_nemotron.measure.bench.leg import Leg
from trt_nemotron.measure.bench.server_side.asking import make_fetch
from trt_nemotron.measure.bench.wire.address import resolve_address

LEG = Leg(concurrency=2)


class _Pages(BaseHTTPRequestHandler):
    """vLLM's page: one more request of 20 ms to the first token each time it is read."""

    reads = 0

    def do_GET(self) -> None:
        if self.path != "/metrics":
            self.send_error(404)
            return
        type(self).reads += 1
        name = "vllm:time_to_first_token_seconds"
        text = f"{name}_sum {0.02 * self.reads}\n{name}_count {self.reads}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Pages)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_the_server_tells_is_kept_for_each_leg_and_the_last_time_counts(url: str):
    beside = Beside(make_fetch(resolve_address(url)))
    for _ in range(2):
        with beside.around(LEG):
            pass
    (told,) = beside.server_side
    assert told.leg == LEG
    assert told.ttft_mean_ms == pytest.approx(20.0)
    assert beside.energy == ()
    assert beside.notes == []


def test_a_page_that_cannot_be_read_is_noted_once_and_not_asked_for_again():
    asked: list[str] = []

    def fetch(path: str) -> str:
        asked.append(path)
        raise EndpointUnfit("the page cannot be read", evidence="it took too long")

    beside = Beside(fetch)
    with beside.around(LEG):
        pass
    assert len(asked) == 1
    assert beside.server_side == ()
    assert beside.notes == [
        "no figures of the server's own: the page cannot be read (it took too long)"
    ]


def test_a_leg_that_fails_leaves_nothing(url: str):
    beside = Beside(make_fetch(resolve_address(url)))
    with pytest.raises(EndpointUnfit), beside.around(LEG):
        raise EndpointUnfit("gone")
    assert beside.server_side == ()


def test_energy_is_joules_or_the_reason_why_there_are_none(url: str):
    address = resolve_address(url)
    with open_beside(address, "", SystemClock(), measures_energy=True) as beside:
        with beside.around(LEG):
            pass
        (energy,) = beside.energy
    assert energy.leg == LEG
    assert (energy.joules is None) == bool(energy.reason)
