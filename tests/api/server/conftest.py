"""A server with a clock that tests move, with small limits, and clients on raw sockets."""

from __future__ import annotations

import re
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from api.__main__ import PAGES
from api.context import Context
from api.http.connection_counters import Refusal
from api.server import create_server, event_loop
from api.server.connections import ConnectionLimits
from tests.api.conftest import with_settings
from tests.support.clock import Clock
from tests.support.waiting import wait_for

TICK_S = 0.02


@dataclass
class RunningServer:
    """A server in a thread of this process."""

    port: int
    context: Context
    clock: Clock
    clients: ExitStack

    def connect(self, address: str = "127.0.0.1", port: int | None = None) -> socket.socket:
        """Return a new connection from an address of the loopback network."""
        client = self.clients.enter_context(socket.socket())
        client.settimeout(30)
        client.bind((address, 0))
        client.connect(("127.0.0.1", port or self.port))
        return client

    def get(self, path: str = "/", address: str = "127.0.0.1") -> bytes:
        """Return the status line of a response."""
        with self.connect(address) as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            return b"".join(iter(lambda: client.recv(65_536), b"")).split(b"\r\n")[0]

    def refused(self, reason: Refusal) -> int:
        """Return how often the server has refused something for this reason."""
        return self.context.connection_counters.totals()[reason]

    def wait_for_refusals(self, reason: Refusal, number: int = 1) -> None:
        """Block until the server has refused this often."""
        wait_for(lambda: self.refused(reason) >= number, f"{number} x {reason}")

    def wait_for_connections(self, number: int) -> None:
        """Block until the server has this many connections."""
        wait_for(lambda: self.context.connection_counters.open_connections == number, f"{number} connections")

    def wait_for_held(self, number: int) -> None:
        """Block until the server holds at least so many bytes of incomplete requests and unread responses."""
        wait_for(lambda: self.context.connection_counters.held_bytes >= number, f"{number} held bytes")


@contextmanager
def running(context: Context, clock: Clock, limits: ConnectionLimits | None = None) -> Iterator[RunningServer]:
    """Run a server whose deadlines follow the clock."""
    tempdir = tempfile.tempdir
    server = create_server(context, host="127.0.0.1", port=0, limits=limits, now_s=clock.now_s)
    thread = threading.Thread(target=server.run, name="api")
    thread.start()
    try:
        with ExitStack() as clients:
            yield RunningServer(server.effective_port, context, clock, clients)
    finally:
        server.stop()
        thread.join(10)
        tempfile.tempdir = tempdir


Run = Callable[..., RunningServer]


@pytest.fixture
def run(context: Context, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Return a function that runs a server; its arguments are limits, `behind_fly`, `pages` and settings."""
    monkeypatch.setattr(event_loop, "TICK_S", TICK_S)
    with ExitStack() as servers:

        def start(
            limits: ConnectionLimits | None = None,
            *,
            behind_fly: bool = False,
            pages: Path = PAGES,
            **changes: object,
        ) -> RunningServer:
            changed = replace(with_settings(context, **changes), behind_fly=behind_fly, pages=pages)
            return servers.enter_context(running(changed, clock, limits))

        yield start


def everything(client: socket.socket) -> bytes:
    """Return all bytes until the server closes the connection."""
    received = b""
    try:
        while data := client.recv(65_536):
            received += data
    except ConnectionResetError:
        pass
    return received


def is_open(client: socket.socket) -> bool:
    """Return whether the server has neither answered nor closed the connection."""
    client.setblocking(False)
    try:
        client.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False
    finally:
        client.settimeout(30)
    return False


def statuses(received: bytes) -> list[bytes]:
    """Return the status of each response."""
    return re.findall(rb"HTTP/1\.[01] (\d\d\d) ", received)


def response(client: socket.socket) -> bytes:
    """Return one whole response; the connection may stay open."""
    received = b""
    while True:
        received += (data := client.recv(65_536))
        head, end, body = received.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        if not data or (end and len(body) >= int(length[1] if length else 0)):
            return received
