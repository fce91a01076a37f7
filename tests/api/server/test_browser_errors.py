"""Errors that the server itself answers are pages for browsers, and problem documents for programs."""

from __future__ import annotations

import re

import pytest

from api.server.framing import MAX_HEADERS
from tests.api.read_page import BROWSER, check_page
from tests.api.server.conftest import Run, everything
from tests.support.clock import Clock

NAVIGATION = f"Host: x\r\nAccept: {BROWSER}\r\n".encode()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(b"GET / HTTP/1.1\r\n" + NAVIGATION + b"Host: y\r\n\r\n", 400, id="two hosts"),
        pytest.param(b"GET / HTTP/1.1\r\nAccept: text/html\r\nHost: a/b\r\n\r\n", 400, id="malformed host"),
        pytest.param(b"GET / HTTP/3.0\r\n" + NAVIGATION + b"\r\n", 505, id="HTTP/3"),
        pytest.param(b"GET / HTTP/1.1\r\n" + NAVIGATION + b"A: b\r\n" * MAX_HEADERS + b"\r\n", 431, id="many headers"),
        pytest.param(
            b"GET / HTTP/1.1\r\n" + NAVIGATION + b"".join(b"Cookie: %d=%s\r\n" % (n, b"x" * 3000) for n in range(12)),
            431, id="large cookies",
        ),
        pytest.param(b"POST /nowhere HTTP/1.1\r\n" + NAVIGATION + b"Content-Length: 9\r\n\r\n", 404, id="no such path"),
        pytest.param(b"POST /jobs HTTP/1.1\r\n" + NAVIGATION + b"Content-Length: 9\r\n\r\n", 405, id="wrong method"),
        pytest.param(b"POST /webhooks HTTP/1.1\r\n" + NAVIGATION + b"Content-Length: 9\r\n\r\n", 401, id="no key"),
        pytest.param(b"POST /login HTTP/1.1\r\n" + NAVIGATION + b"Content-Length: 9000\r\n\r\n", 413, id="too large"),
        pytest.param(b"POST /upload HTTP/1.1\r\n" + NAVIGATION + b"\r\n", 411, id="no length"),
        pytest.param(
            b"POST /login HTTP/1.1\r\n" + NAVIGATION + b"Transfer-Encoding: x\r\n\r\n", 501, id="unknown encoding"
        ),
    ],
)  # fmt: skip
def test_errors_before_any_route_are_pages_for_browsers(run: Run, sent: bytes, status: int) -> None:
    server = run()
    for is_browser in (True, False):
        client = server.connect()
        client.sendall(sent if is_browser else re.sub(rb"Accept: [^\r]*\r\n", b"Accept: application/json\r\n", sent))
        head, _, body = everything(client).partition(b"\r\n\r\n")
        assert int(head.split()[1]) == status, head
        headers = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
        if is_browser:
            check_page(body.decode(), headers, str(status))
        else:
            assert headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n" + NAVIGATION,
                                  b"POST /login HTTP/1.1\r\n" + NAVIGATION + b"Content-Length: 5\r\n\r\n"])  # fmt: skip
def test_a_browser_that_is_too_slow_gets_a_page(run: Run, clock: Clock, sent: bytes) -> None:
    server = run()
    client = server.connect()
    client.sendall(sent)
    server.wait_for_held(len(sent))
    clock.move(minutes=5)
    head, _, body = everything(client).partition(b"\r\n\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert int(head.split()[1]) == 408
    assert check_page(body.decode(), headers, "408").headings == ["That took too long"]
