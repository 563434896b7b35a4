"""The client over TLS: the same records, stamped by read, and a certificate that is checked."""

import json
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.measure.bench.conftest import TOKENS, chat_request, run_load, to_records
from trt_nemotron.measure.bench.clock_choice import choose_clock
from trt_nemotron.measure.bench.figures.request_figures import measure_request, token_chunks
from trt_nemotron.measure.bench.wire.address import resolve_address

INTERVAL_S = 0.01


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and self-signed certificate for 127.0.0.1 in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=bench", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", "-", "-out", "-"],
        capture_output=True, check=True,
    )  # fmt: skip
    path.write_bytes(made.stdout)
    return path


class TlsServer:
    """A blocking server of its own thread per connection; keeps connections."""

    def __init__(self, certificate: Path) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self.listener.getsockname()[1]}"
        self.sent: list[list[int]] = []
        self.connections = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(raw,), daemon=True).start()

    def serve(self, raw: socket.socket) -> None:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with self.context.wrap_socket(raw, server_side=True) as connection:
                while self.answer(connection):
                    pass
        except OSError:
            raw.close()

    def answer(self, connection: ssl.SSLSocket) -> bool:
        data = b""
        while not data.endswith(b"}"):
            piece = connection.recv(65536)
            if not piece:
                return False
            data += piece
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        times = []
        for _ in range(TOKENS):
            time.sleep(INTERVAL_S)
            times.append(time.monotonic_ns())
            self.event(connection, {"choices": [{"index": 0, "delta": {"content": "word "}}]})
        self.sent.append(times)
        finish = {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}
        self.event(connection, {**finish, "usage": {"completion_tokens": TOKENS}})
        self.chunk(connection, b"data: [DONE]\n\n")
        connection.sendall(b"0\r\n\r\n")
        return True

    def event(self, connection: ssl.SSLSocket, tree: object) -> None:
        self.chunk(connection, b"data: " + json.dumps(tree).encode() + b"\n\n")

    def chunk(self, connection: ssl.SSLSocket, data: bytes) -> None:
        connection.sendall(b"%x\r\n%b\r\n" % (len(data), data))


@pytest.fixture
def server(certificate: Path) -> Iterator[TlsServer]:
    server = TlsServer(certificate)
    yield server
    server.listener.close()


def test_a_tls_server_is_measured_and_its_connections_are_kept(
    server: TlsServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    address = resolve_address(server.url)
    requests = [chat_request(address, "plain") for _ in range(4)]
    records = to_records(*run_load(server.url, requests))
    assert [(r.outcome, r.error) for r in records] == [("ok", "")] * 4
    assert server.connections == 1
    if sys.platform == "linux":
        assert {record.clock for record in records} == {"kernel_receive"}
    for record, sent in zip(records, server.sent, strict=True):
        chunks = token_chunks(record)
        assert len(chunks) == len(sent)
        assert measure_request(record).ttft_ms >= INTERVAL_S * 1e3 - 0.5
    late = sorted(
        chunk.received_ns - at
        for record, sent in zip(records, server.sent, strict=True)
        for chunk, at in zip(token_chunks(record), sent, strict=True)
    )
    assert 0 <= late[len(late) // 2] < 2_000_000


def test_packets_are_not_stamped_under_tls_and_the_result_says_why(
    server: TlsServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    choice = choose_clock(resolve_address(server.url))
    assert choice.source != "packet_ring"
    assert "TLS" in choice.reason


def test_a_request_longer_than_a_socket_buffer_goes_out_whole(
    server: TlsServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    address = resolve_address(server.url)
    long = chat_request(address, "plain", padding="x" * 3_000_000)
    (record,) = to_records(*run_load(server.url, [long]))
    assert (record.outcome, record.error) == ("ok", "")


def test_a_certificate_that_nobody_vouches_for_is_a_clear_fault(
    server: TlsServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    request = chat_request(resolve_address(server.url), "plain")
    (record,) = to_records(*run_load(server.url, [request]))
    assert record.outcome == "disconnected"
    assert "TLS handshake failed" in record.error


def test_a_server_without_tls_is_a_clear_fault(truth, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    url = truth.url.replace("http://", "https://")
    request = chat_request(resolve_address(url), "plain")
    (record,) = to_records(*run_load(url, [request], timeout_s=1.0))
    assert record.outcome in {"disconnected", "timeout"}
