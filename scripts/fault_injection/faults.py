"""The faults: each kind is a function that injects one, keeps it for a while, and ends it.

Kinds that cannot be injected here (no right to mount, no C compiler) are left out by `Injector`, which says so.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass

from scripts.fault_injection.clock import WallClock
from scripts.fault_injection.machine import MEDIA_CHILD, SERVICES, SUPERVISOR, Machine
from scripts.fault_injection.small_disk import SmallDisk
from scripts.fault_injection.timeline import Timeline
from scripts.machine.child import ROOT

REQUESTS = (
    "POST /tiktok-api/.*init",
    "PUT /tiktok-upload/",
    "POST /tiktok-api/.*status",
    "POST /facebook-graph/.*/media\\?",
    "POST /facebook-upload/",
    "POST /facebook-graph/.*media_publish",
    "GET /facebook-graph/",
    "POST /youtube-api/upload/",
    "PUT /youtube-api/upload/",
    "GET /youtube-api/",
    "POST /webhooks/receive",
    "oauth|token",
)
"""Requests to the mock platforms, as "METHOD /path?query"."""
UPLOADS = tuple(request for request in REQUESTS if "upload/" in request and "POST /youtube" not in request)
ERRORS: tuple[dict[str, object], ...] = (
    {"status": 500},
    {"status": 502, "content": "<html>Bad Gateway</html>"},
    {"status": 503, "headers": {"Retry-After": "1"}},
    {"status": 429, "headers": {"Retry-After": "1"}},
)
CLOCK_JUMPS_S = (-6 * 3600, -900, -30, 30, 900, 3600, 6 * 3600)
SLOW_CLIENTS = 30
LOCK_HOLDER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
connection.execute("BEGIN IMMEDIATE")
time.sleep(float(sys.argv[2]))
"""


@dataclass(frozen=True)
class Target:
    """The machine that the faults strike, and its surroundings.

    Attributes:
        machine: the machine and the mock platforms.
        disk: of the data directory; None if it cannot be filled.
        clock: of the machine; None if it cannot be set.
        timeline: in which each fault is recorded.
        over: set when the faults have to end.
    """

    machine: Machine
    disk: SmallDisk | None
    clock: WallClock | None
    timeline: Timeline
    over: threading.Event


Fault = Callable[[Target, random.Random], None]


def kill_process(target: Target, rng: random.Random) -> None:
    """Kill a service, a media child, the process that forks the services, or the supervisor."""
    names = [*SERVICES, *["media child"] * 3, "supervisor", "fork server"]
    name = rng.choice(names)
    for pid in _pids(target.machine, name):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            target.timeline.fault("kill", f"{name} {pid}")


def stop_process(target: Target, rng: random.Random) -> None:
    """Stop a process for some seconds; at times for so long that the watchdog ends it."""
    name = rng.choice([*SERVICES, "media child", "supervisor"])
    pids = _pids(target.machine, name)
    stopped_s = rng.uniform(33, 45) if rng.random() < 0.1 else rng.uniform(0.5, 8)
    for pid in pids:
        target.timeline.fault("stop", f"{name} {pid} for {stopped_s:.1f} s")
    _signal(pids, signal.SIGSTOP)
    target.over.wait(stopped_s)
    _signal(pids, signal.SIGCONT)


def _pids(machine: Machine, name: str) -> list[int]:
    if name in {"supervisor", "fork server"}:
        found = machine.pids(SUPERVISOR)  # the fork server is a fork of the supervisor
        return found[:1] if name == "supervisor" else found[1:2]
    return machine.pids(SERVICES.get(name, MEDIA_CHILD))[:1]


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def lose_answers(target: Target, rng: random.Random) -> None:
    """Let platforms carry out requests and send no answer, or a false one."""
    at = rng.choice(REQUESTS)
    kinds: list[dict[str, object]] = [{"kind": "lose"}, {"kind": "lose"}, {"kind": "lie", **rng.choice(ERRORS)}]
    _fault_of_platform(target, rng, at, **rng.choice(kinds))


def refuse_requests(target: Target, rng: random.Random) -> None:
    """Let platforms answer with errors, or slowly."""
    kinds: list[dict[str, object]] = [
        *({"kind": "answer", **error} for error in ERRORS),
        {"kind": "slow", "seconds": 3.0},
    ]
    _fault_of_platform(target, rng, rng.choice(REQUESTS), **rng.choice(kinds))


def cut_platform_upload(target: Target, rng: random.Random) -> None:
    """Let platforms close the connection in the middle of an upload."""
    _fault_of_platform(target, rng, rng.choice(UPLOADS), kind="cut", after_bytes=rng.randrange(200_000))


def expire_tokens(target: Target, rng: random.Random) -> None:
    """Let the access tokens of a platform expire."""
    platform = rng.choice(["tiktok", "google"])
    target.timeline.fault("platform expire", platform)
    target.machine.mock.expire_tokens(platform)


def _fault_of_platform(target: Target, rng: random.Random, at: str, **fault: object) -> None:
    described: dict[str, object] = {"at": at, "times": rng.randint(1, 4), **fault}
    target.timeline.fault(f"platform {fault['kind']}", str(described))
    target.machine.mock.add_fault(**described)


def disconnect_platforms(target: Target, rng: random.Random) -> None:
    """Let all platforms refuse connections, or accept them and do nothing."""
    down_s, mock = rng.uniform(1, 10), target.machine.mock
    hang = rng.random() < 0.5
    target.timeline.fault("platforms hang" if hang else "platforms down", f"for {down_s:.1f} s")
    if hang:
        mock.send_signal(signal.SIGSTOP)
        target.over.wait(down_s)
        mock.send_signal(signal.SIGCONT)
    else:
        mock.kill()
        target.over.wait(down_s)
        mock.start()


def fill_disk(target: Target, rng: random.Random) -> None:
    """Let another program fill the disk, wholly or nearly."""
    if target.disk is None:
        return
    left_mib, full_s = rng.choice([0, 0, 6, 12, 40]), rng.uniform(2, 15)
    target.timeline.fault("disk full", f"{left_mib} MiB left, for {full_s:.1f} s")
    target.disk.fill(left_mib * 2**20)
    target.over.wait(full_s)
    target.disk.clear()


def set_clock(target: Target, rng: random.Random) -> None:
    """Set the wall clock of the machine ahead or back, and right again."""
    if target.clock is None:
        return
    offset_s, wrong_s = rng.choice(CLOCK_JUMPS_S), rng.uniform(2, 20)
    target.timeline.fault("clock", f"{offset_s:+d} s, for {wrong_s:.1f} s")
    target.clock.set_offset(offset_s)
    target.over.wait(wrong_s)
    target.clock.set_offset(0)


def lock_database(target: Target, rng: random.Random) -> None:
    """Let another program hold the write lock of the database."""
    held_s = rng.uniform(0.5, 8)
    target.timeline.fault("database locked", f"for {held_s:.1f} s")
    database = target.machine.data_dir / "vidprod.sqlite3"
    command = [sys.executable, "-c", LOCK_HOLDER, str(database), f"{held_s:.1f}"]
    # A process of its own: its closing of the file must not release locks of this one.
    subprocess.run(command, cwd=ROOT, check=False, capture_output=True)


def open_slow_connections(target: Target, rng: random.Random) -> None:
    """Open connections that send a byte of a request each second."""
    lasts_s = rng.uniform(5, 20)
    target.timeline.fault("slow clients", f"{SLOW_CLIENTS} for {lasts_s:.1f} s")
    port = int(target.machine.client.root_url.rpartition(":")[2])
    request = f"POST /upload HTTP/1.1\r\nHost: localhost\r\nX-Slow: {'x' * 1000}".encode()
    with contextlib.ExitStack() as opened:
        clients = []
        for _ in range(SLOW_CLIENTS):
            with contextlib.suppress(OSError):
                clients.append(opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5)))
        for second in range(int(lasts_s)):
            for client in clients:
                with contextlib.suppress(OSError):
                    client.send(request[second : second + 1])
            if target.over.wait(1.0):
                return


LANES: dict[str, tuple[tuple[Fault, ...], tuple[float, float]]] = {
    "processes": ((kill_process, kill_process, stop_process), (4.0, 20.0)),
    "requests": ((lose_answers, lose_answers, refuse_requests, cut_platform_upload, expire_tokens), (1.0, 6.0)),
    "platforms": ((disconnect_platforms,), (15.0, 45.0)),
    "disk": ((fill_disk,), (50.0, 120.0)),
    "clock": ((set_clock,), (20.0, 50.0)),
    "database": ((lock_database,), (8.0, 30.0)),
    "clients": ((open_slow_connections,), (10.0, 30.0)),
}
"""The lanes: in each, one fault after the other with a pause in between, of so many seconds; the lanes overlap."""


class Injector:
    """Runs the lanes, each in a thread with random numbers of its own."""

    def __init__(self, target: Target, seed: int, without: frozenset[str] = frozenset()) -> None:
        self._target = target
        self._threads = [
            threading.Thread(target=self._run, args=(name, random.Random(f"{seed} {name}")), name=name)
            for name in LANES
            if name not in without
        ]

    def start(self) -> None:
        """Start all lanes."""
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait until the faults have ended; `Target.over` must be set."""
        for thread in self._threads:
            thread.join()

    def _run(self, name: str, rng: random.Random) -> None:
        faults, (shortest_s, longest_s) = LANES[name]
        while not self._target.over.wait(rng.uniform(shortest_s, longest_s)):
            try:
                rng.choice(faults)(self._target, rng)
            except Exception as error:  # noqa: BLE001 (one fault that fails must not end its lane; it is reported)
                self._target.timeline.event("fault failed", f"{name}: {error!r}")
