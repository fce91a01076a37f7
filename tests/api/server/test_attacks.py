"""1,000 connections of one kind against a server process: others are served, and its memory stays small."""

from __future__ import annotations

import os
import resource
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.api.conftest import VIDEO
from tests.api.server.conftest import everything, response
from tests.api.test_server import END, FORM

CONNECTIONS = 1000
ROOT = Path(__file__).resolve().parents[3]
KEY = "a-key-of-the-attacked-server"
HOST = b" HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /login" + HOST

MEDIAN_S = 1.0
"""Of an answer under attack; it takes 3 to 20 ms when the machine has nothing else to do."""

GROWTH_MB = 40
"""Of the memory of the process: 16 MB for what it holds, 10 MB for connections, and what the allocator keeps."""


@dataclass
class AttackedServer:
    """The process."""

    port: int
    pid: int

    def connect(self, address: str = "127.0.0.1") -> socket.socket:
        """Return a connection from an address of the loopback network."""
        client = socket.socket()
        client.settimeout(30)
        client.bind((address, 0))
        client.connect(("127.0.0.1", self.port))
        return client

    def seconds(self, path: bytes) -> float:
        """Return the time of one request for a path."""
        began_s = time.perf_counter()
        with self.connect() as client:
            client.sendall(b"GET " + path + HOST + b"Connection: close\r\n\r\n")
            assert everything(client).startswith(b"HTTP/1.1 ")
        return time.perf_counter() - began_s

    def memory_mb(self) -> float:
        """Return the resident memory."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AttackedServer]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * CONNECTIONS:
        pytest.skip(f"this test opens {CONNECTIONS} sockets; the limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * CONNECTIONS), hard))
    environment = {
        "PATH": os.environ["PATH"],
        "DATA_DIR": str(tmp_path_factory.mktemp("attacked")),
        "API_KEYS": KEY,
        "SECRET_KEY": "a secret key of the attacked server",
        "UPLOAD_RATE_LIMIT": "1000",
    }
    command = [sys.executable, "-m", "tests.api.server.attacked_server"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as run:
        assert run.stdout is not None
        yield AttackedServer(int(run.stdout.readline()), run.pid)
        run.kill()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


KINDS = {
    "idle": b"",
    "slow head": b"GET / HTT",
    "large head": b"GET /" + HOST + b"X: " + b"y" * 31_000,
    "many headers": b"GET /" + HOST + b"a:b\r\n" * 6000,
    "slow body": POST + b"Content-Length: 4000\r\n\r\n" + b"{" * 3999,
    "upload without a key": (
        b"POST /upload" + HOST + b"Content-Type: multipart/form-data; boundary=B\r\nContent-Length: 400000000\r\n\r\n"
    ),
    "tiny chunks": POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 40_000,
    "unread responses": (b"GET /static/status-view.js" + HOST + b"\r\n") * 100,
    "urgent data": b"",
}


@pytest.mark.parametrize("kind", KINDS)
def test_others_are_served_while_one_kind_holds_all_connections(attacked: AttackedServer, kind: str) -> None:
    """A page, `/health`, and a phone that uploads in small pieces."""
    before_mb = attacked.memory_mb()
    with ExitStack() as opened:
        phone = opened.enter_context(attacked.connect("127.0.0.7"))
        body = FORM + VIDEO + END
        phone.sendall(
            f"POST /upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {len(body)}\r\n"
            "Content-Type: multipart/form-data; boundary=B\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        assert phone.recv(100).startswith(b"HTTP/1.1 100")
        flood = [opened.enter_context(attacked.connect(f"127.0.{1 + n // 200}.{1 + n % 200}")) for n in range(1000)]
        for client in flood:
            _attack(client, kind)
        times_s = []
        for number in range(10):
            phone.sendall(body[number * 1000 : (number + 1) * 1000])
            times_s += [attacked.seconds(b"/health"), attacked.seconds(b"/")]
            for client in flood[number::10]:
                with suppress(OSError):
                    client.send(b"z")
        grown_mb = attacked.memory_mb() - before_mb
        phone.sendall(body[10_000:])

        assert response(phone).startswith(b"HTTP/1.1 202")
    assert statistics.median(times_s) < MEDIAN_S
    assert grown_mb < GROWTH_MB


def _attack(client: socket.socket, kind: str) -> None:
    client.setblocking(False)
    with suppress(OSError):  # the server may have closed the connection, or reads no more
        if kind == "urgent data":
            client.send(b"!", socket.MSG_OOB)
        elif KINDS[kind]:
            client.send(KINDS[kind])


def test_one_address_that_pipelines_does_not_delay_others(attacked: AttackedServer) -> None:
    with ExitStack() as opened:
        for _ in range(CONNECTIONS):
            client = opened.enter_context(attacked.connect("127.0.0.2"))
            client.setblocking(False)
            with suppress(OSError):
                client.send((b"GET /health" + HOST + b"\r\n") * 1000)
        times_s = [attacked.seconds(path) for path in [b"/health", b"/"] * 10]

    assert statistics.median(times_s) < MEDIAN_S


def test_a_flood_of_short_connections_does_not_stop_others(attacked: AttackedServer) -> None:
    times_s = []
    for number in range(2000):
        with attacked.connect("127.0.0.2") as client, suppress(OSError):
            client.send(b"GET /")
        if number % 100 == 0:
            times_s.append(attacked.seconds(b"/health"))

    assert statistics.median(times_s) < MEDIAN_S
