"""A worker that has lost its lease: no request begins, none goes on, and the work ends, as if it were interrupted."""

from __future__ import annotations

import socket
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from platforms.http import client, fencing
from platforms.http.client import FileRange
from platforms.http.fencing import Fence
from tests.platforms.loopback import answering, server
from tests.support.lost_lease import Fenced

SECRET = "secret-token"
BLOCK_BYTES = 65_536


class Lease:
    """A lease that is lost at once, or with a number of questions to come."""

    def __init__(self, *, questions: int | None = None) -> None:
        self.is_lost = False
        self._questions = questions
        self.fence = Fence(self._check)

    def lose(self) -> None:
        self.is_lost = True
        self.fence.end_requests()

    def _check(self) -> None:
        if self._questions is not None:
            self._questions -= 1
            self.is_lost = self._questions < 0
        if self.is_lost:
            raise Fenced


@pytest.fixture(autouse=True)
def own_fence() -> Iterator[None]:
    before = fencing.current()
    yield
    fencing.use(before)


def test_no_request_begins_after_the_lease_was_lost() -> None:
    lease = Lease()
    fencing.use(lease.fence)
    lease.lose()
    with server(answering("200 OK")) as (base, received):
        with pytest.raises(Fenced):
            client.request("POST", base)
        fencing.use(Fence())
        assert client.request("GET", f"{base}/next").status == 200  # whatever came before has been received by now
    assert [first.split()[1] for first in received] == [b"/next"]


def test_a_request_that_waits_for_its_answer_ends_when_the_lease_is_lost() -> None:
    """The error is that of the fence, without the address in its context."""
    lease = Lease()
    fencing.use(lease.fence)
    ended = threading.Event()

    def lose(connection: socket.socket, _first: bytes) -> None:
        lease.lose()
        while connection.recv(BLOCK_BYTES):
            pass
        ended.set()

    with server(lose) as (base, received), pytest.raises(Fenced) as error:
        client.request("POST", f"{base}/?access_token={SECRET}", deadline_s=600, timeout_s=(600, 600))
    assert ended.wait(60)
    assert len(received) == 1
    assert SECRET not in "".join(traceback.format_exception(error.value))


def test_an_upload_stops_with_its_next_block(tmp_path: Path) -> None:
    """As of a process that is continued in the middle of it: the thread that sends may be the first that runs."""
    video = tmp_path / "video"
    video.write_bytes(bytes(20 * BLOCK_BYTES))
    lease = Lease(questions=6)
    fencing.use(lease.fence)
    received, ended = bytearray(), threading.Event()

    def receive(connection: socket.socket, first: bytes) -> None:
        received.extend(first)
        while block := connection.recv(BLOCK_BYTES):
            received.extend(block)
        ended.set()

    with server(receive) as (base, _), FileRange(video, 0, 20 * BLOCK_BYTES) as body:
        with pytest.raises(Fenced):
            client.request("PUT", base, body=body)
        assert ended.wait(60)
    assert 1_000 < len(received) < 6 * BLOCK_BYTES


def test_a_thread_without_a_fence_sends_while_another_is_fenced() -> None:
    lease = Lease()
    lease.lose()
    fenced = threading.Thread(target=fencing.use, args=(lease.fence,))
    fenced.start()
    fenced.join()
    with server(answering("204 No Content")) as (base, _):
        assert client.request("GET", base).status == 204
