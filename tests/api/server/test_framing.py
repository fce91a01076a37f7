"""Framing of requests: ambiguous heads, chunked bodies, Expect. Each kind is a known report on some server."""

from __future__ import annotations

import random

import pytest

from api.context import Context
from api.http.connection_counters import Refusal
from api.http.problems import Problem
from api.server.chunked import FREE_CHUNKS, ChunkedReceiver
from api.server.framing import MAX_HEADERS
from store import jobs
from tests.api.conftest import KEY, VIDEO
from tests.api.server.conftest import Run, everything, statuses
from tests.api.test_server import END, FORM, head
from tests.store import rows

HIDDEN = f"DELETE /jobs/job HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode()
POST = b"POST /login HTTP/1.1\r\nHost: x\r\n"
LENGTH = f"Content-Length: {len(HIDDEN)}\r\n".encode()


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        pytest.param(POST + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400", id="length and chunked"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", b"400", id="the other order"),
        pytest.param(POST + LENGTH + b"Content-Length: 0\r\n\r\n", b"400", id="two lengths"),
        pytest.param(POST + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n", b"400", id="the same length twice"),
        pytest.param(POST + b"Content-Length: 0, 5\r\n\r\n", b"400", id="a list of lengths"),
        pytest.param(POST + b"Content-Length: +5\r\n\r\n", b"400", id="a signed length"),
        pytest.param(POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n", b"400", id="chunked twice"),
        pytest.param(
            POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", b"400", id="two encodings"
        ),
        pytest.param(POST + b"Transfer-Encoding: xchunked\r\n\r\n", b"501", id="an unknown encoding"),
        pytest.param(POST + b"Transfer-Encoding : chunked\r\n\r\n", b"400", id="space before the colon"),
        pytest.param(POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n", b"400", id="continued line"),
        pytest.param(POST + b"X: y\nTransfer-Encoding: chunked\r\n\r\n", b"400", id="bare line feed"),
        pytest.param(b"POST /login HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", b"400", id="chunked in HTTP/1.0"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400", id="two hosts"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", b"400", id="a list of hosts"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a/b@c\r\n\r\n", b"400", id="a host with a path"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", b"400", id="no host"),
        pytest.param(b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", b"505", id="HTTP/2"),
        pytest.param(b"GET /\r\n\r\n", b"505", id="HTTP/0.9"),
        pytest.param(POST + b"A: b\r\n" * MAX_HEADERS + b"\r\n", b"431", id="too many headers"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"413", id="chunked GET"
        ),
    ],
)
def test_an_ambiguous_head_ends_the_connection(run: Run, context: Context, request_head: bytes, status: bytes) -> None:
    with context.store.writing(scope="everything") as opened:
        jobs.create(opened, rows.job("job"))
    server = run()
    client = server.connect()
    client.sendall(request_head + HIDDEN)

    received = everything(client)

    assert statuses(received) == [status]  # the hidden request was not answered
    assert server.refused(Refusal.BODY if status == b"413" else Refusal.MALFORMED) == 1
    with context.store.reading() as opened:
        assert jobs.get(opened, "job") is not None


@pytest.mark.parametrize("host", ["x", "x:80", "[::1]:8000", "my-app.fly.dev", "127.0.0.1:8000", ""])
def test_a_valid_host_is_accepted(run: Run, host: str) -> None:
    client = run().connect()
    client.sendall(f"GET /login HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())

    assert everything(client).startswith(b"HTTP/1.1 405")


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n", b"200", id="GET"),
        pytest.param(POST + b"Content-Length: 0\r\nExpect: 100-continue\r\n\r\n", b"400", id="an empty body"),
        pytest.param(POST + b"Expect: 100-continue\r\n\r\n", b"400", id="no length"),
        pytest.param(b"GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", b"200", id="HTTP/1.0"),
    ],
)
def test_a_client_that_asks_whether_to_send_nothing_gets_its_answer(
    run: Run, request_head: bytes, status: bytes
) -> None:
    """waitress sent "100 Continue", then waited for a body for ever."""
    client = run().connect()
    client.sendall(request_head)

    assert client.recv(65_536).split(b" ")[1] == status


def test_a_chunked_upload_with_a_trailer_is_accepted_and_followed(run: Run) -> None:
    """The trailer is not the beginning of the next request."""
    client = run().connect()
    body = FORM + VIDEO + END
    chunks = b"".join(b"%x;a=b\r\n%s\r\n" % (len(piece), piece) for piece in (body[:5], body[5:3000], body[3000:]))
    chunked = head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: Chunked")
    client.sendall(chunked + chunks + b"0\r\nA: GET / HTTP/1.1\r\n\r\n")
    client.sendall(b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    received = everything(client)

    assert statuses(received) == [b"202", b"404"]


class _Buffer:
    def __init__(self) -> None:
        self.data = b""
        self.calls = 0

    def append(self, data: bytes) -> None:
        self.data += data
        self.calls += 1

    def __len__(self) -> int:
        return len(self.data)


def test_any_splitting_of_a_chunked_body_gives_the_same_content() -> None:
    chance = random.Random(12)
    for _ in range(200):
        pieces = [chance.randbytes(chance.randrange(1, 40)) for _ in range(chance.randrange(20))]
        raw = b"".join(b"%X\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nTrailer: x\r\n\r\n"
        receiver = ChunkedReceiver(_Buffer())
        rest = raw + b"NEXT"
        while not receiver.completed:
            cut = chance.randrange(1, 50)
            rest = rest[receiver.received(rest[:cut]) :]

        assert receiver.buf.data == b"".join(pieces)
        assert rest == b"NEXT"


def test_tiny_chunks_are_refused_soon_and_copied_once() -> None:
    """Each chunk cost a copy of all received bytes."""
    buffer = _Buffer()
    receiver = ChunkedReceiver(buffer)
    with pytest.raises(Problem) as refused:
        receiver.received(b"1\r\nx\r\n" * 40_000)

    assert refused.value.error_code == "tiny_chunks"
    assert len(buffer) <= FREE_CHUNKS * 1.01
    assert buffer.calls == 1


def test_chunks_of_a_usual_size_are_never_too_many() -> None:
    receiver = ChunkedReceiver(_Buffer())
    for _ in range(FREE_CHUNKS * 2):
        receiver.received(b"400\r\n" + bytes(0x400) + b"\r\n")


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"5 \r\nhello\r\n", id="space after the size"),
        pytest.param(b"0x5\r\nhello\r\n", id="prefix"),
        pytest.param(b"-5\r\nhello\r\n", id="negative"),
        pytest.param(b"5\nhello\n", id="bare line feeds"),
        pytest.param(b"5\r\nhelloX\r\n", id="longer than its size"),
        pytest.param(b"\r\n5\r\nhello\r\n", id="blank line"),
        pytest.param(b"1" * 13 + b"\r\n", id="a size beyond 48 bits"),
        pytest.param(b"5;" + b"a" * 2000, id="an extension without end"),
        pytest.param(b"5;a\rb\r\nhello\r\n", id="carriage return in an extension"),
        pytest.param(b"0\r\n" + b"A: b\r\n" * 3000, id="a trailer without end"),
    ],
)
def test_a_malformed_chunk_is_refused(raw: bytes) -> None:
    with pytest.raises(Problem) as refused:
        ChunkedReceiver(_Buffer()).received(raw)

    assert refused.value.status_code == 400
