"""Measure how the API answers while 1,000 connections of one kind hold it.

A server process gets 1,000 connections from as many addresses of the loopback network, all of one kind. Measured are
the answers of `/health` meanwhile, memory and processor time of the server, and how many connections it has closed.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmarks.summary.row import Line, Row

SERVER = """
import sys
from actors import wiring
wiring.machine.store.migrate()
from api.__main__ import context
from api.server import create_server
server = create_server(context(), host="127.0.0.1", port=0)
print(server.effective_port, flush=True)
server.run()
"""
STOCK = """
import falcon, waitress
class Health:
    def on_get(self, request, response):
        response.media = {"status": "ok"}
app = falcon.App()
app.add_route("/health", Health())
server = waitress.create_server(app, host="127.0.0.1", port=0)
print(server.effective_port, flush=True)
server.run()
"""
HOST = b" HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /login" + HOST
FORM = b"Content-Type: multipart/form-data; boundary=B\r\nContent-Length: 400000000\r\n\r\n"
KINDS = {
    "idle": b"",
    "slow head": b"GET / HTT",
    "large head (31 kB)": b"GET /" + HOST + b"X: " + b"y" * 31_000,
    "6,000 header lines": b"GET /" + HOST + b"a:b\r\n" * 6000,
    "slow body": POST + b"Content-Length: 4000\r\n\r\n" + b"{" * 3999,
    "upload without a key": b"POST /upload" + HOST + FORM,
    "1-byte chunks": POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 40_000,
    "unread responses": (b"GET /static/status-view.js" + HOST + b"\r\n") * 100,
    "pipelined requests": (b"GET /nowhere" + HOST + b"\r\n") * 6000,
}

SHORT_KINDS, SHORT_CONNECTIONS, SHORT_S = ("slow head", "slow body"), 1000, 5.0  # for the table of all benchmarks


@dataclass
class MeasuredServer:
    """The server process."""

    port: int
    pid: int

    def connect(self, address: str, timeout_s: float = 60) -> socket.socket:
        """Return a connection from an address."""
        client = socket.socket()
        client.settimeout(timeout_s)
        client.bind((address, 0))
        client.connect(("127.0.0.1", self.port))
        return client

    def answer_s(self, timeout_s: float = 60) -> float:
        """Return the time of one answer of `/health`."""
        began_s = time.perf_counter()
        with self.connect("127.0.0.1", timeout_s) as client:
            client.sendall(b"GET /health" + HOST + b"Connection: close\r\n\r\n")
            while client.recv(65_536):
                pass
        return time.perf_counter() - began_s

    def memory_mb(self) -> float:
        """Return the resident memory."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

    def processor_s(self) -> float:
        """Return the processor time."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class ConnectionFigures:
    """The figures of one kind of connections."""

    median_ms: float  # infinite: most requests were not answered in time
    slowest_ms: float
    before_mb: float
    memory_mb: float
    core_share: float
    closed: int

    def row(self, kind: str) -> str:
        """Return a line of the benchmark's own table."""
        memory = f"{self.before_mb:.0f} to {self.memory_mb:.0f}"
        times = f"{self.median_ms:10.0f}{self.slowest_ms:10.0f}"
        return f"{kind:24}{times}{memory:>16}{100 * self.core_share:7.0f}{self.closed:8}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a row for each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each kind (default: 5)")
    parser.add_argument("--kind", choices=KINDS, action="append", help="only this kind")
    chosen = parser.parse_args(arguments)
    _raise_limit_of_files()
    print(f"{'kind':24}{'median ms':>10}{'max ms':>10}{'memory MB':>16}{'CPU %':>7}{'closed':>8}")
    for kind in chosen.kind or KINDS:
        with _serving(SERVER) as server:
            print(_measure(server, kind, chosen.connections, chosen.seconds).row(kind), flush=True)
    return 0


def rows(folder: Path) -> Iterator[Line]:
    """Compare answers and memory to those of stock waitress with a Falcon app that has only `/health`."""
    del folder
    _raise_limit_of_files()
    for kind in SHORT_KINDS:
        with _serving(SERVER) as server:
            own = _measure(server, kind, SHORT_CONNECTIONS, SHORT_S)
        with _serving(STOCK) as server:
            other = _measure(server, kind, SHORT_CONNECTIONS, SHORT_S, timeout_s=SHORT_S)
        what = f"{SHORT_CONNECTIONS:,} connections, {kind}: answer of /health, median"
        yield Row(what, own.median_ms, "ms", f"waitress, waited for {SHORT_S:.0f} s", other.median_ms)


def _raise_limit_of_files() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextmanager
def _serving(program: str) -> Iterator[MeasuredServer]:
    with tempfile.TemporaryDirectory() as folder:
        environment = {"PATH": os.environ["PATH"], "DATA_DIR": folder, "API_KEYS": "a-key-of-the-benchmark"}
        command = [sys.executable, "-c", program]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            yield MeasuredServer(int(process.stdout.readline()), process.pid)
            process.kill()


def _measure(
    server: MeasuredServer, kind: str, number: int, seconds: float, timeout_s: float = 60
) -> ConnectionFigures:
    for _ in range(5):
        server.answer_s()
    before_mb, before_s = server.memory_mb(), server.processor_s()
    with ExitStack() as opened:
        began_s = time.monotonic()
        flood = [opened.enter_context(server.connect(f"127.1.{n // 250}.{1 + n % 250}")) for n in range(number)]
        for client in flood:
            client.setblocking(False)
            with suppress(OSError):
                client.send(KINDS[kind])
        times_s = [_answer_s(server, timeout_s)]
        while time.monotonic() < began_s + seconds:
            times_s.append(_answer_s(server, timeout_s))
            for client in flood[len(times_s) % 10 :: 10]:
                with suppress(OSError):
                    client.send(b"z")
        return ConnectionFigures(
            median_ms=1000 * statistics.median(times_s),
            slowest_ms=1000 * max(times_s),
            before_mb=before_mb,
            memory_mb=server.memory_mb(),
            core_share=(server.processor_s() - before_s) / (time.monotonic() - began_s),
            closed=sum(_is_closed(client) for client in flood),
        )


def _answer_s(server: MeasuredServer, timeout_s: float) -> float:
    try:
        return server.answer_s(timeout_s)
    except TimeoutError:
        return math.inf


def _is_closed(client: socket.socket) -> bool:
    try:
        while client.recv(65_536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


if __name__ == "__main__":
    sys.exit(main())
