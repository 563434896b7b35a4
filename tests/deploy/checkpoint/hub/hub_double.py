"""A double of the hub and of the store behind it: two real HTTP servers on the loopback.

As strict as the real ones where it matters to a client:

- the hub redirects the content of large files to the store, with a signature in the address; the
  store refuses a request that still bears the hub's `Authorization`, and one without the signature;
- ranges are honoured by the store (206, 416), and compressible small files come compressed to a
  client that accepts it, without a length;
- a gated repository is listed to everyone and given to nobody (401 without a token, 403 with one);
  an unknown one is 401 to a stranger and 404 to an account; a wrong token is 401 everywhere; a
  renamed repository is a redirect;
- whatever else is asked for is written down as a stray, and the tests see that there is none.

Answers as huggingface_hub 2.4.0 reads them: src/huggingface_hub/utils/_http.py
(`hf_raise_for_status`), hf_api.py (`ModelInfo`), file_download.py (`get_hf_file_metadata`).
"""

import gzip
import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "maker/tiny-hybrid"
TOKEN = "hf_aRightToken0123456789"
LFS_ENDINGS = (".safetensors", ".bin", ".gguf", "tokenizer.json")
_ASKED = re.compile(r"/api/models/[^/]+/[^/]+/revision/[^/]+|/[^/]+/[^/]+/resolve/[^/]+/.+")
_SIGNATURE = "Signature=of-the-double"


@dataclass
class Seen:
    """One request that came."""

    method: str
    path: str
    headers: Mapping[str, str]
    is_store: bool


@dataclass
class HubDouble:
    """What the hub holds and how it misbehaves; tests change it while it serves.

    Attributes:
        is_gated, is_private: of the one repository.
        cut_after: bytes of a file's content after which the connection is dropped, by name; `cuts`
            says how often.
        instead: content sent in place of a file's own, by name.
        ignores_ranges: whether the store sends everything whatever part is asked for.
        renamed_from: an old name that redirects.
        listing: an answer in place of the list of files.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    is_gated: bool = False
    is_private: bool = False
    cut_after: dict[str, int] = field(default_factory=dict)
    cuts: int = 10**9
    instead: dict[str, bytes] = field(default_factory=dict)
    ignores_ranges: bool = False
    renamed_from: str = ""
    listing: bytes | None = None
    pace_s: float = 0.0
    seen: list[Seen] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    hub_port: int = 0
    store_port: int = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.hub_port}"

    def contents_asked(self, name: str) -> list[Seen]:
        """Requests for the content of one file, to the hub or the store."""
        return [it for it in self.seen if it.method == "GET" and it.path.endswith(f"/{name}")]

    def sent_files(self) -> set[str]:
        return {it.path.rpartition("/")[2] for it in self.seen if "/resolve/" in it.path}

    def hold(self, folder: Path, *extra: tuple[str, bytes]) -> None:
        """Hold every file of a folder, and some more."""
        self.files = {path.name: path.read_bytes() for path in folder.iterdir()} | dict(extra)


@contextmanager
def running_double() -> Iterator[HubDouble]:
    """A hub and its store, stopped at the end."""
    double = HubDouble()
    servers = [_serve(_make_handler(double, kind)) for kind in (_HubAnswers, _StoreAnswers)]
    double.hub_port, double.store_port = (server.server_address[1] for server in servers)
    try:
        yield double
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


def _serve(handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
    ).start()
    return server


def _make_handler(double: HubDouble, kind: type) -> type[BaseHTTPRequestHandler]:
    return type("Handler", (kind,), {"double": double})


class _Answers(BaseHTTPRequestHandler):
    double: HubDouble
    protocol_version = "HTTP/1.1"
    is_store = False

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._take()

    def do_GET(self) -> None:
        self._take()

    def _take(self) -> None:
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.double.seen.append(Seen(self.command, unquote(url.path), headers, self.is_store))
        self.answer(unquote(url.path), parse_qs(url.query), headers)

    def answer(self, path: str, query: Mapping[str, list[str]], headers: Mapping[str, str]) -> None:
        raise AssertionError

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int, code: str, message: str = "") -> None:
        body = json.dumps({"error": message or code}).encode()
        headers = {"X-Error-Message": message} if message else {}
        if code:
            headers["X-Error-Code"] = code
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def stray(self) -> None:
        self.double.strays.append(f"{self.command} {self.path}")
        self.reply(404)

    def send_content(self, name: str, start: int, body: bytes) -> None:
        """The body, or part of it and a dropped connection."""
        limit = self.double.cut_after.get(name)
        is_cut = limit is not None and start + len(body) > limit and self.double.cuts > 0
        if is_cut and limit is not None:
            self.double.cuts -= 1
            body = body[: max(0, limit - start)]
        for place in range(0, len(body), 65536):
            self.wfile.write(body[place : place + 65536])
            if self.double.pace_s:
                self.wfile.flush()
                threading.Event().wait(self.double.pace_s)
        if is_cut:
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()


class _HubAnswers(_Answers):
    def answer(self, path: str, query: Mapping[str, list[str]], headers: Mapping[str, str]) -> None:
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if token and token != TOKEN:
            self.refuse(401, "", "Invalid credentials in Authorization header")
            return
        old = self.double.renamed_from
        if old and f"/{old}/" in path:
            target = self.path.replace(old, REPOSITORY)
            self.reply(307, Location=target)
            return
        is_hidden = self.double.is_private and not token
        if not _ASKED.fullmatch(path):
            self.stray()
        elif f"/{REPOSITORY}/" not in path or is_hidden:
            self.refuse(404 if token else 401, "RepoNotFound", "Repository not found")
        elif path.startswith(f"/api/models/{REPOSITORY}/revision/"):
            self._list(path.rpartition("/")[2], query)
        elif path.startswith(f"/{REPOSITORY}/resolve/"):
            commit, _, name = path.removeprefix(f"/{REPOSITORY}/resolve/").partition("/")
            self._resolve(commit, name, token, headers)
        else:
            self.stray()

    def _list(self, commit: str, query: Mapping[str, list[str]]) -> None:
        if commit != COMMIT:
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {commit}")
            return
        if self.double.listing is not None:
            self.reply(200, self.double.listing, Content_Type="application/json")
            return
        has_metadata = query.get("blobs") == ["true"]
        siblings = [
            describe(name, data) if has_metadata else {"rfilename": name}
            for name, data in sorted(self.double.files.items())
        ]
        tree = {"id": REPOSITORY, "modelId": REPOSITORY, "sha": COMMIT, "private": False,
                "gated": "manual" if self.double.is_gated else False, "tags": [],
                "downloads": 0, "likes": 0, "siblings": siblings}  # fmt: skip
        self.reply(200, json.dumps(tree).encode(), Content_Type="application/json")

    def _resolve(self, commit: str, name: str, token: str, headers: Mapping[str, str]) -> None:
        if commit != COMMIT:
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {commit}")
        elif name not in self.double.files:
            self.refuse(404, "EntryNotFound", "Entry not found")
        elif self.double.is_gated:
            self.refuse(403 if token else 401, "GatedRepo", "Access to this model is restricted")
        elif name.endswith(LFS_ENDINGS):
            data = self.double.files[name]
            self.reply(
                302,
                Location=f"http://127.0.0.1:{self.double.store_port}/lfs/{name}?{_SIGNATURE}",
                X_Repo_Commit=COMMIT,
                X_Linked_Size=str(len(data)),
                X_Linked_ETag=f'"{hashlib.sha256(data).hexdigest()}"',
                ETag=f'"{git_id(data)}"',
            )
        else:
            self._small(name, headers)

    def _small(self, name: str, headers: Mapping[str, str]) -> None:
        data = self.double.instead.get(name, self.double.files[name])
        etag = git_id(self.double.files[name])
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{etag}"')
        if "gzip" in headers.get("accept-encoding", ""):
            data = gzip.compress(data)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Transfer-Encoding", "chunked")
            data = f"{len(data):x}\r\n".encode() + data + b"\r\n0\r\n\r\n"
        else:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.send_content(name, 0, data)


class _StoreAnswers(_Answers):
    is_store = True

    def answer(self, path: str, query: Mapping[str, list[str]], headers: Mapping[str, str]) -> None:
        name = path.removeprefix("/lfs/")
        if "authorization" in headers:
            self.reply(400, b"<Error><Code>InvalidArgument</Code></Error>")
        elif query.get("Signature") != ["of-the-double"]:
            self.reply(403, b"<Error><Code>AccessDenied</Code></Error>")
        elif name not in self.double.files:
            self.stray()
        else:
            self._send(name, headers.get("range", ""))

    def _send(self, name: str, wanted: str) -> None:
        data = self.double.instead.get(name, self.double.files[name])
        start = 0
        if wanted and not self.double.ignores_ranges:
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
            if start >= len(data):
                self.reply(416, Content_Range=f"bytes */{len(data)}")
                return
        is_part = bool(wanted) and not self.double.ignores_ranges
        self.send_response(206 if is_part else 200)
        if is_part:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        if self.command != "HEAD":
            self.send_content(name, start, data[start:])


def describe(name: str, data: bytes) -> dict[str, Any]:
    """A file as the hub lists it."""
    tree: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": git_id(data)}
    if name.endswith(LFS_ENDINGS):
        sha256 = hashlib.sha256(data).hexdigest()
        tree["lfs"] = {"sha256": sha256, "size": len(data), "pointerSize": 134}
    return tree


def git_id(data: bytes) -> str:
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()  # noqa: S324 - Git's
