"""Shares of addresses, the total of connections, and their memory."""

from __future__ import annotations

import errno
import resource
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from loguru import logger

from api.http.connection_counters import MAX_LOGGED_ADDRESSES, ConnectionCounters, Refusal
from api.server import listener
from api.server.connection import Connection
from api.server.connections import ConnectionLimits
from api.server.event_loop import EventLoop
from api.server.listener import connection_limit
from api.server.request_queue import RequestQueue
from tests.api.conftest import KEY, VIDEO
from tests.api.server.conftest import Run, everything, is_open, response, statuses
from tests.api.server.test_deadlines import CONTINUE, begin_body
from tests.api.test_server import END, FORM, head
from tests.support.waiting import wait_for

BODY = FORM + VIDEO + END


def test_an_address_has_its_share_of_connections(run: Run) -> None:
    server = run(ConnectionLimits(total=1000, per_address=10))
    clients = [server.connect("127.0.0.2") for _ in range(30)]
    server.wait_for_refusals(Refusal.ADDRESS_SHARE, 20)

    assert [is_open(client) for client in clients] == [False] * 20 + [True] * 10  # the oldest are closed
    assert server.get(address="127.0.0.3") == b"HTTP/1.1 200 OK"
    assert server.get(address="127.0.0.2") == b"HTTP/1.1 200 OK"


def test_a_connection_is_closed_before_one_with_an_incomplete_request(run: Run) -> None:
    server = run(ConnectionLimits(per_address=2))
    incomplete, idle = server.connect("127.0.0.2"), server.connect("127.0.0.2")
    incomplete.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
    idle.sendall(b"GET /login HTTP/1.1\r\nHost: x\r\n\r\n")
    assert response(idle).startswith(b"HTTP/1.1 405")
    server.wait_for_held(10)

    server.connect("127.0.0.2")

    assert everything(idle) == b""
    incomplete.sendall(b"\r\n")
    assert response(incomplete).startswith(b"HTTP/1.1 200")


def test_a_new_connection_is_accepted_when_all_are_in_use(run: Run) -> None:
    server = run(ConnectionLimits(total=20, per_address=1000))
    for number in range(50):
        server.connect(f"127.0.1.{number + 1}").sendall(b"GET / HTTP/1.1\r\nX:")

    assert server.get(address="127.0.0.9") == b"HTTP/1.1 200 OK"
    assert server.refused(Refusal.CONNECTION_LIMIT) >= 30


def test_an_upload_with_a_key_is_never_closed_for_others(run: Run) -> None:
    server = run(ConnectionLimits(total=10, per_address=5))
    uploads = [server.connect("127.0.0.2") for _ in range(2)]
    for upload in uploads:
        begin_body(upload, head(len(BODY), more=CONTINUE))
    flood = [server.connect(f"127.0.0.{2 + number % 20}") for number in range(100)]
    server.wait_for_refusals(Refusal.CONNECTION_LIMIT, 50)
    assert not any(is_open(client) for client in flood[:50])

    for upload in uploads:
        upload.sendall(BODY)
        assert response(upload).startswith(b"HTTP/1.1 202")


def test_clients_behind_the_proxy_are_told_apart(run: Run) -> None:
    """All connections come from the proxy, which uses one for requests of different clients."""
    server = run(ConnectionLimits(per_address=2), behind_fly=True)
    slow = [server.connect() for _ in range(3)]
    for number, client in enumerate(slow):
        client.sendall(head(4000, path="/webhooks", more=f"{CONTINUE}Fly-Client-IP: 2001:db8::{number + 1}\r\n"))
        assert client.recv(100).startswith(b"HTTP/1.1 100")

    assert everything(slow[0]).startswith(b"HTTP/1.1 503")  # the oldest request of three
    assert is_open(slow[1])
    assert is_open(slow[2])
    assert server.refused(Refusal.ADDRESS_SHARE) == 1

    pooled = server.connect()
    for number in range(5):
        pooled.sendall(f"GET /login HTTP/1.1\r\nHost: x\r\nFly-Client-IP: 2001:db8:{number}::1\r\n\r\n".encode())
        assert response(pooled).startswith(b"HTTP/1.1 405")
    assert is_open(slow[2])
    assert is_open(server.connect())  # the proxy itself has no share


def test_a_client_behind_the_proxy_that_only_uploads_gets_429(run: Run) -> None:
    server = run(ConnectionLimits(per_address=1), behind_fly=True)
    first = server.connect()
    begin_body(first, head(len(BODY), more=f"{CONTINUE}Fly-Client-IP: 1.2.3.4\r\n"))
    second = server.connect()
    second.sendall(head(len(BODY), more=f"{CONTINUE}Fly-Client-IP: 1.2.3.4\r\n"))

    assert response(second).startswith(b"HTTP/1.1 429")
    first.sendall(BODY)
    assert response(first).startswith(b"HTTP/1.1 202")


def test_incomplete_requests_take_a_limited_amount_of_memory(run: Run) -> None:
    server = run(ConnectionLimits(held_bytes=200_000))
    clients = [server.connect() for _ in range(20)]
    for number, client in enumerate(clients[:10]):
        client.sendall(b"GET / HTTP/1.1\r\nX: " + b"y" * 30_000)
        server.clock.move(seconds=0.1)
        if number < 6:
            server.wait_for_held(30_000 * (number + 1))
    server.wait_for_refusals(Refusal.MEMORY)

    assert everything(clients[0]).startswith(b"HTTP/1.0 503")  # the oldest
    wait_for(lambda: server.context.connection_counters.held_bytes <= 200_000, "the limit")
    assert server.get() == b"HTTP/1.1 200 OK"


def test_pipelined_requests_are_answered_one_after_the_other(run: Run) -> None:
    server = run()
    client = server.connect()
    login = b'POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\n{"key": "wrong"}'
    client.sendall(b"GET /login HTTP/1.1\r\nHost: x\r\n\r\n" * 500 + login)
    client.sendall(b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    received = everything(client)

    assert statuses(received) == [b"405"] * 500 + [b"401", b"404"]


def test_pipelined_requests_are_not_parsed_before_their_turn(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """256 kB became 9,700 parsed requests, and 1,000 connections took gigabytes."""
    waiting: list[int] = []
    service = Connection.service

    def count(connection: Connection) -> None:
        waiting.append(len(connection.requests))
        service(connection)

    monkeypatch.setattr(Connection, "service", count)
    client = run().connect()
    client.sendall(b"GET /login HTTP/1.1\r\nHost: x\r\n\r\n" * 200 + b"GET / HTTP/1.0\r\n\r\n")
    everything(client)

    assert waiting == [1] * 201


def test_a_half_closed_connection_leaves_nothing(run: Run) -> None:
    server = run()
    for _ in range(50):
        client = server.connect()
        client.sendall(b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        client.shutdown(socket.SHUT_WR)
        assert everything(client) == b""

    server.wait_for_connections(0)
    assert server.context.connection_counters.held_bytes == 0


def test_a_byte_does_not_cost_a_look_at_every_connection(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop of waitress asked all connections for their interests at each byte."""
    server = run()
    for number in range(100):
        server.connect(f"127.0.1.{number + 1}")
    server.wait_for_connections(100)
    active = server.connect()
    server.wait_for_connections(101)
    asked: list[Connection] = []
    readable = Connection.readable

    def ask(one: Connection) -> bool:
        asked.append(one)
        return readable(one)

    monkeypatch.setattr(Connection, "readable", ask)
    monkeypatch.setattr("api.server.event_loop.TICK_S", 1e6)
    wait_for(lambda: len(asked) >= 101, "the last tick")
    asked.clear()

    for _ in range(20):
        active.sendall(b"GET /login HTTP/1.1\r\nHost: x\r\n\r\n")
        assert response(active).startswith(b"HTTP/1.1 405")

    assert {one.client for one in asked} == {"127.0.0.1"}
    assert len(asked) <= 20 * 8


def test_the_log_has_one_line_for_an_address_and_minute() -> None:
    counters = ConnectionCounters()
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message.record["message"])), level="WARNING")
    try:
        for number in range(100):
            counters.count(Refusal.HEAD_TIMEOUT, "1.2.3.4")
            counters.count(Refusal.MEMORY, "1.2.3.4")
            counters.log(1000.0 + number / 10)
        assert lines == ["connections of '1.2.3.4' refused: head_timeout 1, memory 1"]
        counters.log(1060.0)
        assert lines[1:] == ["connections of '1.2.3.4' refused: head_timeout 99, memory 99"]

        for number in range(5000):
            counters.count(Refusal.MEMORY, f"10.0.{number // 250}.{number % 250}")
        counters.log(1200.0)
        assert len(lines) - 2 == MAX_LOGGED_ADDRESSES + 1
    finally:
        logger.remove(sink)
    assert counters.totals()[Refusal.MEMORY] == 5100


def test_the_metrics_count_refusals(run: Run) -> None:
    server = run()
    client = server.connect()
    client.sendall(b"GET / HTTP/1.1\r\n")
    server.wait_for_held(10)
    server.clock.move(seconds=16)
    assert everything(client)

    with server.connect() as asking:
        asking.sendall(f"GET /metrics HTTP/1.0\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode())
        text = everything(asking)

    assert b'vidprod_connections_refused_total{reason="head_timeout"} 1.0' in text
    assert b'vidprod_connections_refused_total{reason="memory"} 0.0' in text
    assert b"vidprod_connections " in text


def test_the_metrics_port_has_the_same_deadlines_and_takes_no_body(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    server = run(metrics_port=port)
    for framing in (b"Content-Length: 900000000", b"Transfer-Encoding: chunked"):
        client = server.connect(port=port)
        client.sendall(b"POST /metrics HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n\r\n")
        assert response(client).startswith(b"HTTP/1.1 413")

    slow = server.connect(port=port)
    slow.sendall(b"GET /metrics")
    with server.connect(port=port) as asking:
        asking.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert everything(asking).startswith(b"HTTP/1.0 200")
    server.clock.move(seconds=16)
    assert everything(slow).startswith(b"HTTP/1.0 408")


def test_a_process_with_few_descriptors_has_fewer_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise accepting would fail instead of closing an old connection."""
    limits = [256, 1024]
    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: limits.__setitem__(slice(None), new))

    assert connection_limit(1000) == 1024 - listener.RESERVED_FILES
    assert limits == [1024, 1024]
    limits[:] = [20_000, 20_000]
    assert connection_limit(1000) == 1000
    assert limits == [20_000, 20_000]


def test_connections_are_closed_if_no_descriptor_is_left(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    server = run()
    idle = [server.connect(f"127.0.1.{number + 1}") for number in range(5)]
    server.wait_for_connections(5)
    accept = listener.ListeningPort.accept
    errors = [OSError(errno.EMFILE, "too many open files")]

    def accept_or_fail(port: listener.ListeningPort) -> object:
        if errors:
            raise errors.pop()
        return accept(port)

    monkeypatch.setattr(listener.ListeningPort, "accept", accept_or_fail)

    assert server.get() == b"HTTP/1.1 200 OK"
    assert [everything(client) for client in idle] == [b""] * 5


class _Ready:
    """A socket that has data at once, in place of one of waitress."""

    accepting = False

    def __init__(self, loop: EventLoop, sock: socket.socket) -> None:
        self._loop = loop
        self._sock = sock

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def handle_read_event(self) -> None:
        del self._loop.sockets[self._sock.fileno()]


class _BusyConnection:
    """A connection whose next request is always there, and answered at once."""

    requests = ()
    descriptor = -1

    def __init__(self, loop: EventLoop) -> None:
        self._loop = loop
        self._calls = 0

    def request_ended(self) -> None:
        self._calls += 1
        assert self._calls < 10_000
        self._loop.touched.append(self)


def test_answers_of_threads_do_not_keep_the_loop_from_its_sockets() -> None:
    loop = EventLoop(lambda: None)
    loop.touched.append(_BusyConnection(loop))
    with ExitStack() as opened:
        one, other = (opened.enter_context(sock) for sock in socket.socketpair())
        other.send(b"x")
        loop.sockets[one.fileno()] = _Ready(loop, one)

        loop.run()  # until the socket was read


class _Waiting:
    def __init__(self, client: str, *, first_request: bool = True) -> None:
        self.client = client
        self.first_request = first_request


def test_addresses_take_turns() -> None:
    queue = RequestQueue()
    for client in ["a"] * 5 + ["b"] * 2 + ["c"]:
        queue.append(_Waiting(client))

    assert [queue.popleft().client for _ in range(len(queue))] == ["a", "b", "c", "a", "b", "a", "a", "a"]


def test_a_client_that_was_served_before_waits_no_longer_than_a_new_one() -> None:
    queue = RequestQueue()
    for _ in range(100):
        queue.append(_Waiting("a"))
    for _ in range(50):
        queue.popleft()
    queue.append(_Waiting("b"))

    assert "b" in [queue.popleft().client for _ in range(2)]


def test_pipelined_requests_and_first_ones_take_turns() -> None:
    queue = RequestQueue()
    for number in range(10):
        queue.append(_Waiting(f"pipelining {number}", first_request=False))
    queue.append(_Waiting("new"))

    assert "new" in [queue.popleft().client for _ in range(2)]


def test_memory_of_the_queue_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.server.request_queue.MAX_ADDRESSES", 10)
    queue = RequestQueue()
    for number in range(1000):
        queue.append(_Waiting(f"{number}"))
        queue.append(_Waiting("again"))
        queue.popleft()

    assert len(queue) == 1000
    assert {queue.popleft().client for _ in range(1000)} >= {"999", "again"}


def test_cut_uploads_of_the_flood_leave_no_file(run: Run, left: Callable[[], list[Path]]) -> None:
    server = run(upload_rate_limit=1000)
    for _ in range(20):
        client = server.connect()
        begin_body(client, head(10**6, more=CONTINUE))
        client.sendall(FORM + VIDEO)
        client.shutdown(socket.SHUT_WR)
        everything(client)

    assert left() == []
    server.wait_for_connections(0)
