"""An S3-compatible storage on this machine: SeaweedFS; and a proxy before it that makes faults."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from files.s3 import S3Options

KEY, SECRET, BUCKET = "test-access-key", "test-secret-key", "videos"
PORTS = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc",
         "s3.port", "s3.port.grpc")  # fmt: skip


def program() -> Path | None:
    """Return SeaweedFS's program, which requirements-dev.txt installs; None without it."""
    found = shutil.which("weed", path=str(Path(sys.executable).parent))
    return None if found is None else Path(found)


@dataclass(frozen=True)
class ObjectStore:
    """A running storage.

    Attributes:
        address: of its S3 interface.
        master: host and port of what administers it; empty behind a proxy.
    """

    address: str
    master: str = ""

    def environ(self, prefix: str) -> dict[str, str]:
        """Return the settings of a machine whose files are there."""
        return {
            "FILES_URL": f"s3://{BUCKET}/{prefix}", "S3_ENDPOINT_URL": self.address, "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }  # fmt: skip

    def options(self, prefix: str = "", *, secret: str = SECRET, timeout_s: float = 20.0) -> S3Options:
        from files.s3 import S3Options  # noqa: PLC0415 (every test imports this module)

        return S3Options(BUCKET, prefix, self.address, "us-east-1", KEY, secret, timeout_s)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextmanager
def running(directory: Path) -> Iterator[ObjectStore]:
    """Start the storage, with its files in a directory; end it after the block."""
    found = program()
    assert found is not None
    identity = {"name": "test", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
    configuration = directory / "s3.json"
    configuration.write_text(json.dumps({"identities": [identity]}))
    ports = dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
    data = directory / "data"
    data.mkdir()
    arguments = [
        "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", "-s3.iam=false", f"-s3.config={configuration}", f"-dir={data}",
        "-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.max=100", "-master.volumeSizeLimitMB=64",
        "-master.telemetry=false", "-volume.preStopSeconds=0", "-s3.allowEmptyFolder=false",
        *(f"-{name}={port}" for name, port in ports.items()),
    ]  # fmt: skip
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen([found, "server", *arguments], stdout=log, stderr=log, cwd=directory)
    try:
        wait_for(lambda: _answers(ports["s3.port"]), "the storage to answer", 60)
        store = ObjectStore(
            f"http://127.0.0.1:{ports['s3.port']}", f"127.0.0.1:{ports['master.port']}.{ports['master.port.grpc']}"
        )
        _make_bucket(store)
        yield store
    finally:
        process.kill()
        process.wait()


def _make_bucket(store: ObjectStore) -> None:
    from obstore import put  # noqa: PLC0415 (every test imports this module)

    from files.s3 import open_store  # noqa: PLC0415 (likewise)

    put(open_store(store.options()), "made", b"with its first file")


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/status")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@dataclass
class Faults:
    """The faults that a proxy makes.

    Attributes:
        refuse: asked for method and path; True answers 503.
        cut: likewise; True sends half of the answer's body and closes the connection.
        before: called with method and path before a request goes on.
        requests: of all, in order: method, path, and the Range header.
    """

    refuse: Callable[[str, str], bool] = lambda _method, _path: False
    cut: Callable[[str, str], bool] = lambda _method, _path: False
    before: Callable[[str, str], None] = lambda _method, _path: None
    requests: list[tuple[str, str, str | None]] = None  # type: ignore[assignment]  # set below

    def __post_init__(self) -> None:
        self.requests = []


@contextmanager
def proxy(store: ObjectStore, faults: Faults) -> Iterator[ObjectStore]:
    """Start a proxy before a storage. Signatures contain the host, which is passed on unchanged."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            path = urlsplit(self.path).path
            faults.requests.append((self.command, path, self.headers.get("Range")))
            faults.before(self.command, path)
            if faults.refuse(self.command, path):
                self._answer(503, {}, b"<Error><Code>SlowDown</Code></Error>", cut=False)
                return
            status, headers, content = _forward(store.address, self.command, self.path, dict(self.headers), body)
            self._answer(status, headers, content, cut=faults.cut(self.command, path))

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815 (names of the base class)

        def _answer(self, status: int, headers: dict[str, str], content: bytes, *, cut: bool) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in {"transfer-encoding", "connection", "content-length", "date", "server"}:
                    self.send_header(name, value)
            length = headers.get("Content-Length", str(len(content))) if self.command == "HEAD" else str(len(content))
            self.send_header("Content-Length", length)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content[: len(content) // 2] if cut else content)
            if cut:
                self.close_connection = True

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield ObjectStore(f"http://127.0.0.1:{server.server_address[1]}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _forward(
    address: str, method: str, path: str, headers: dict[str, str], body: bytes
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()
