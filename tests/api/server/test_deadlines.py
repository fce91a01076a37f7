"""Deadlines of connections: slow heads, slow bodies, silent uploads, clients that do not read."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from api.http.connection_counters import Refusal
from api.server.connections import ConnectionLimits
from api.server.timing import ALLOWANCES, Phase, PhaseTimer
from tests.api.conftest import VIDEO
from tests.api.server.conftest import Run, everything, is_open, response
from tests.api.test_server import END, FORM, head
from tests.support.waiting import wait_for

CONTINUE = "Expect: 100-continue\r\n"


def begin_body(client: socket.socket, request_head: bytes) -> None:
    """Send a head and wait until the server waits for the body."""
    client.sendall(request_head)
    assert client.recv(100).startswith(b"HTTP/1.1 100")


def test_a_head_that_arrives_byte_by_byte_ends_at_its_deadline(run: Run) -> None:
    server = run()
    client = server.connect()
    client.sendall(b"GET / HTTP/1.1\r\n")
    server.wait_for_held(10)

    for _ in range(3):
        server.clock.move(seconds=4)
        client.sendall(b"a")
    assert is_open(client)
    server.clock.move(seconds=4)

    assert everything(client).startswith(b"HTTP/1.0 408")
    assert server.refused(Refusal.HEAD_TIMEOUT) == 1


def test_a_connection_without_a_byte_is_closed_without_an_answer(run: Run) -> None:
    """Browsers open connections in advance; they would show an answer to no request as an error."""
    server = run()
    client = server.connect()
    server.wait_for_connections(1)

    server.clock.move(seconds=16)

    assert everything(client) == b""


def test_blank_lines_do_not_extend_the_time_between_two_requests(run: Run) -> None:
    server = run()
    client = server.connect()
    client.sendall(b"GET /login HTTP/1.1\r\nHost: x\r\n\r\n")
    assert response(client).startswith(b"HTTP/1.1 405")

    def pass_time() -> None:
        server.clock.move(seconds=38)
        client.sendall(b"\r\n\r\n")

    for _ in range(3):
        pass_time()
        server.wait_for_connections(1)
    assert is_open(client)
    wait_for(lambda: not is_open(client), "the end", meanwhile=pass_time)


def test_a_small_body_that_stops_is_refused(run: Run) -> None:
    server = run()
    client = server.connect()
    begin_body(client, head(4000, path="/webhooks", more=CONTINUE))
    client.sendall(b"{")

    server.clock.move(seconds=21)

    assert everything(client).startswith(b"HTTP/1.1 408")
    assert server.refused(Refusal.BODY_TIMEOUT) == 1


def test_an_upload_may_be_silent_for_two_minutes(run: Run) -> None:
    """A phone in a tunnel."""
    server = run()
    body = FORM + VIDEO + END
    client = server.connect()
    begin_body(client, head(len(body), more=CONTINUE))
    client.sendall(body[:200])
    server.wait_for_connections(1)

    server.clock.move(seconds=120)
    server.wait_for_connections(1)
    assert is_open(client)
    client.sendall(body[200:])

    assert response(client).startswith(b"HTTP/1.1 202")


def test_an_upload_that_stays_silent_is_discarded(run: Run, left: Callable[[], list[Path]]) -> None:
    server = run()
    client = server.connect()
    begin_body(client, head(10**6, more=CONTINUE))
    client.sendall(FORM + VIDEO)
    wait_for(left, "the file of the upload")

    # The silence begins when the server looks at the connection the next time.
    wait_for(lambda: not is_open(client), "the end", meanwhile=lambda: server.clock.move(seconds=151))

    assert everything(client) == b""
    assert left() == []
    assert server.refused(Refusal.UPLOAD_TIMEOUT) == 1


def test_a_client_that_reads_nothing_holds_neither_a_thread_nor_the_connection(run: Run, tmp_path: Path) -> None:
    (tmp_path / "big.js").write_bytes(b"x" * 2_000_000)
    (tmp_path / "index.html").write_bytes(b"page")
    server = run(pages=tmp_path)
    readers = [server.connect() for _ in range(20)]  # more than there are threads
    for reader in readers:
        reader.sendall(b"GET /static/big.js HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
    server.wait_for_held(10_000_000)

    assert server.get() == b"HTTP/1.1 200 OK"

    # The first window of 30 s contains what the kernel took.
    wait_for(
        lambda: server.context.connection_counters.open_connections == 0,
        "the end",
        meanwhile=lambda: server.clock.move(seconds=31),
    )
    assert server.refused(Refusal.RESPONSE_TIMEOUT) > 0


def test_unread_responses_take_a_limited_amount_of_memory(run: Run, tmp_path: Path) -> None:
    (tmp_path / "big.js").write_bytes(b"x" * 2_000_000)
    server = run(ConnectionLimits(held_bytes=8_000_000), pages=tmp_path)
    for _ in range(20):
        server.connect().sendall(b"GET /static/big.js HTTP/1.1\r\nHost: x\r\n\r\n")

    server.wait_for_refusals(Refusal.MEMORY, 10)

    wait_for(lambda: server.context.connection_counters.held_bytes <= 8_000_000, "the limit")


def test_a_refused_client_that_sends_on_is_closed_in_the_end(run: Run) -> None:
    server = run()
    client = server.connect()
    client.sendall(head(10**8, key="wrong"))
    assert response(client).startswith(b"HTTP/1.1 401")
    client.sendall(b"x" * 100_000)

    server.clock.move(seconds=31)

    server.wait_for_connections(0)


@pytest.mark.parametrize("phase", [Phase.BODY, Phase.UPLOAD, Phase.RESPONSE, Phase.DOWNLOAD])
def test_a_minimum_rate_holds_in_each_window(phase: Phase) -> None:
    """Bytes of an earlier window are no credit."""
    allowance = ALLOWANCES[phase]
    timer = PhaseTimer(0)
    timer.begin(phase, 0)
    now_s = 0.0
    for _ in range(3):
        timer.add(int(allowance.window_bytes) * 10)
        assert not timer.overdue(now_s + 1)
        for _ in range(10):  # never silent for long
            now_s += allowance.window_s / 10 + 0.1
            timer.add(1)
            assert not timer.overdue(now_s)

    for _ in range(9):
        now_s += allowance.window_s / 10
        timer.add(1)
        assert not timer.overdue(now_s)
    now_s += allowance.window_s / 10 + 0.2
    timer.add(1)
    assert timer.overdue(now_s)


def test_a_running_request_has_no_deadline() -> None:
    timer = PhaseTimer(0)
    timer.begin(Phase.RUNNING, 0)

    assert not timer.overdue(1e9)
    assert not timer.evictable
