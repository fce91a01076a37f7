"""Measure what receivers of webhooks that do not answer cost the others, and publishing.

A real network worker delivers events to a receiver that answers at once, first alone, then beside some that accept the
connection and never answer. They begin at the same moment, with a backlog. Measured are the delay from the beginning of
the transaction that records an event to its arrival, and how long a message of the queue of publications takes until it
is processed (it deletes the files of a job that does not exist).
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from scripts.benchmarks.summary.row import Line, Row
from store.owners import DEFAULT_OWNER

INTERVAL_S = 0.2  # between two events
BACKLOG = 40  # events that wait for each receiver when the hanging begins
TIMEOUT_S = 60.0
SHORT_HANGING, SHORT_S = 10, 10.0  # for the table of all benchmarks


@dataclass
class Delays:
    """Delays of one phase, in seconds."""

    events: list[float] = field(default_factory=list)
    messages: list[float] = field(default_factory=list)

    def row(self, name: str) -> str:
        """Return a line of the table, in milliseconds."""
        return f"{name:28}" + "".join(
            f"{1000 * statistics.median(one):10.1f}{1000 * max(one):10.1f}" for one in (self.events, self.messages)
        )


class HealthyReceiver:
    """Answers at once and notes when each event has arrived, by its sequence."""

    def __init__(self) -> None:
        self.arrived: dict[int, float] = {}
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.arrived.setdefault(json.loads(body)["data"]["sequence"], time.monotonic())
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its own name)
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()


@contextmanager
def hanging_receiver() -> Iterator[str]:
    """Accept connections and never answer; yield the address."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"  # the kernel accepts them


class Bench:
    """A database, a network worker, and a job that events are about."""

    def __init__(self) -> None:
        from actors.wiring import machine  # noqa: PLC0415 (reads the environment, which `main` sets)
        from store import jobs  # noqa: PLC0415
        from store.jobs import Job  # noqa: PLC0415
        from store.states import JobStatus  # noqa: PLC0415

        self._machine = machine
        self._job = Job(
            owner_id=DEFAULT_OWNER,
            id="bench", status=JobStatus.PROCESSING, video_path="uploads/bench/source", created_at=machine.now(),
            platforms=None, gaze_intensity=0.0, segment_seconds=60.0,
        )  # fmt: skip
        machine.store.migrate()
        with machine.store.writing(scope="everything") as connection:
            jobs.create(connection, self._job)
        self.sent: list[float] = []  # when each event was recorded; the sequence is its place, from 1

    def add_endpoint(self, url: str) -> None:
        """Add an endpoint that receives all events."""
        from actors.flow.job_commands import add_endpoint  # noqa: PLC0415

        with self._machine.store.writing(scope="everything") as connection:
            add_endpoint(self._machine, connection, DEFAULT_OWNER, url, scope="all", events=[])

    def emit(self) -> None:
        """Record an event, and note when."""
        from actors.flow.events import emit  # noqa: PLC0415

        self.sent.append(time.monotonic())
        with self._machine.store.writing(scope="everything") as connection:
            emit(self._machine, connection, "job.processing", self._job)

    def message_s(self) -> float:
        """Send a message to the queue of publications; return how long it takes until it is processed."""
        began = time.monotonic()
        self._machine.send("delete_files", "nothing")
        while any(
            one.ready or one.leased for one in self._machine.broker.admin.queue_stats() if one.queue == "network"
        ):
            time.sleep(0.001)
            assert time.monotonic() - began < TIMEOUT_S, "the message is not processed"
        return time.monotonic() - began

    def measure(self, receiver: HealthyReceiver, seconds: float) -> Delays:
        """Emit events at a steady pace; return their delays and those of messages."""
        delays, first = Delays(), len(self.sent)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.emit()
            delays.messages.append(self.message_s())
            time.sleep(INTERVAL_S)
        deadline = time.monotonic() + TIMEOUT_S
        while len(receiver.arrived) < len(self.sent) and time.monotonic() < deadline:
            time.sleep(0.01)
        for place in range(first, len(self.sent)):
            delays.events.append(receiver.arrived.get(place + 1, float("inf")) - self.sent[place])
        return delays


@contextmanager
def network_worker(environ: dict[str, str]) -> Iterator[None]:
    """Run the process of the network worker."""
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.machine.network_worker"], env=environ, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each phase."""
    parser = argparse.ArgumentParser(prog="scripts/bench webhooks", description=__doc__)
    parser.add_argument("--hanging", type=int, default=10, help="how many receivers do not answer (10)")
    parser.add_argument("--seconds", type=float, default=40, help="of each phase (40)")
    options = parser.parse_args(arguments)
    print(f"{'':28}{'event: median':>10}{'max':>7}{'message: median':>18}{'max':>5}   (ms)")
    with tempfile.TemporaryDirectory(prefix="bench-webhooks-") as folder:
        for name, delays in _phases(Path(folder), options.hanging, options.seconds):
            print(delays.row(name), flush=True)


def rows(folder: Path) -> Iterator[Line]:
    """Compare the delays beside receivers that do not answer to those without them."""
    phases = dict(_phases(folder, SHORT_HANGING, SHORT_S))
    alone, beside = phases["alone"], phases[f"beside {SHORT_HANGING} that hang"]
    condition = f"while {SHORT_HANGING} other receivers do not answer: median delay"
    for what, own, other in (
        ("event to its receiver", beside.events, alone.events),
        ("message of a publication", beside.messages, alone.messages),
    ):
        medians_ms = [1000 * statistics.median(one) for one in (own, other)]
        yield Row(f"{what}, {condition}", medians_ms[0], "ms", "VidProd without them", medians_ms[1])


def _phases(folder: Path, hanging: int, seconds: float) -> Iterator[tuple[str, Delays]]:
    """Yield the delays without receivers that do not answer, then those beside them."""
    os.environ |= {
        "DATA_DIR": str(folder),
        "WEBHOOK_ALLOW_PRIVATE": "true",
        "LOG_LEVEL": "ERROR",
        "API_KEYS": "a-key-of-the-benchmark",
    }
    with ExitStack() as stack:
        bench, receiver = Bench(), HealthyReceiver()
        stack.enter_context(network_worker(dict(os.environ)))
        bench.add_endpoint(receiver.url)
        bench.emit()
        bench.message_s()  # the worker has started
        yield "alone", bench.measure(receiver, seconds)
        for url in [stack.enter_context(hanging_receiver()) for _ in range(hanging)]:
            bench.add_endpoint(url)
        for _ in range(BACKLOG):
            bench.emit()
        yield f"beside {hanging} that hang", bench.measure(receiver, seconds)


if __name__ == "__main__":
    main()
