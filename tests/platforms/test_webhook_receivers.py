"""Receivers of all kinds: which answers count, and what the owner of an endpoint reads when none came."""

from __future__ import annotations

import gzip
import socket
import ssl
import time
from datetime import timedelta
from pathlib import Path

import pytest

from platforms import webhook
from platforms.webhook import Unreachable, WebhookResponse
from tests.platforms.loopback import Talk, server
from tests.platforms.test_http_client import self_signed, tls_server

NAME = "localhost"
SECRET = "whsec_" + "A" * 32
DEADLINE_S = 10.0
EMPTY = b"\r\nContent-Length: 0\r\n\r\n"


def deliver(url: str, deadline_s: float = DEADLINE_S) -> WebhookResponse:
    return webhook.deliver(
        url, message_id="msg_1", timestamp=1, body=b"{}", secrets=[SECRET], allow_private=True, deadline_s=deadline_s
    )


def failure(url: str, deadline_s: float = DEADLINE_S) -> Unreachable:
    with pytest.raises(Unreachable) as caught:
        deliver(url, deadline_s)
    return caught.value


def sending(*blocks: bytes) -> Talk:
    """Return a talk that sends these bytes, one block after the other, and waits for the other side to close."""

    def talk(connection: socket.socket, _first: bytes) -> None:
        for block in blocks:
            connection.sendall(block)
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(5)
        while connection.recv(65_536):
            pass

    return talk


@pytest.mark.parametrize(
    ("answer", "status", "accepted"),
    [
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], 204, True),
        ([b"HTTP/1.1 202 Accepted\r\n\r\nqueued"], 202, True),
        ([b"HTTP/1.0 200 OK\r\n\r\nok"], 200, True),
        ([b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"], 200, True),
        ([b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"ok")], 200, True),
        ([b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd"], 200, True),
        ([b"HTTP/1.1 301 Moved\r\nLocation: https://x/" + EMPTY], 301, False),
        ([b"HTTP/1.1 404 Not Found" + EMPTY], 404, False),
    ],
)  # fmt: skip
def test_the_status_decides_whatever_the_body(answer: list[bytes], status: int, accepted: bool) -> None:
    with server(sending(*answer)) as (base, _):
        got = deliver(base)
    assert (got.status, got.accepted) == (status, accepted)


@pytest.mark.parametrize("interim", [b"100 Continue", b"102 Processing", b"103 Early Hints\r\nLink: </a>; rel=preload"])
@pytest.mark.parametrize("final", [b"204 No Content", b"503 Down"])
def test_an_interim_response_is_not_the_answer(interim: bytes, final: bytes) -> None:
    """Proxies send 103 before the answer of the receiver."""
    head = b"HTTP/1.1 " + interim + b"\r\n\r\n"
    with server(sending(head * 3, b"HTTP/1.1 " + final + EMPTY)) as (base, _):
        assert deliver(base).status == int(final[:3])


def test_interim_responses_without_end_are_no_answer() -> None:
    with server(sending(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)) as (base, _):
        assert failure(base).code == "not_http"


def test_a_body_that_stalls_does_not_hold_the_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    """The status has come; the receiver has accepted the event."""
    monkeypatch.setattr(webhook, "BODY_DEADLINE_S", 0.2)

    def talk(connection: socket.socket, _first: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\na")
        connection.recv(65_536)

    with server(talk) as (base, _):
        got = deliver(base, deadline_s=60)
    assert (got.status, got.duration_ms < 30_000) == (200, True)


def test_an_error_names_what_is_to_be_corrected() -> None:
    with server(sending()) as (base, _):  # it reads the request: a close before would reset the connection
        assert failure(base).code == "closed"
    with server(sending(b"SSH-2.0-OpenSSH_9\r\n")) as (base, _):
        assert failure(base).code == "not_http"
    with server(sending(b"HTTP/1.1 400 Bad Request" + EMPTY)) as (base, _):
        assert failure(base.replace("http:", "https:")).code == "tls_not_spoken"
    assert failure("http://127.0.0.1:9/").code == "refused"
    assert failure("http://nobody.invalid/").code == "name_unknown"


@pytest.mark.parametrize(
    ("name", "ends_in", "is_trusted", "code"),
    [
        (NAME, timedelta(days=1), False, "tls_self_signed"),
        (NAME, timedelta(days=-1), True, "tls_expired"),
        ("hooks.example.com", timedelta(days=1), True, "tls_wrong_host"),
    ],
)
def test_an_error_names_what_is_wrong_with_a_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, ends_in: timedelta, is_trusted: bool, code: str
) -> None:
    certificate = self_signed(tmp_path, name, ends_in=ends_in)
    if is_trusted:
        monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with tls_server(context, sending(b"HTTP/1.1 204 No Content\r\n\r\n")) as port:
        assert failure(f"https://{NAME}:{port}/").code == code


def test_a_timeout_says_what_was_waited_for() -> None:
    """Each ends at the deadline, and its duration is the time it took."""

    def silent(connection: socket.socket, _first: bytes) -> None:
        while connection.recv(65_536):  # the body may arrive after the headers
            pass

    with server(silent) as (base, _):
        answer, handshake = failure(base, 1.0), failure(base.replace("http:", "https:"), 1.0)
    assert (answer.code, handshake.code) == ("answer_timeout", "tls_timeout")
    assert min(answer.duration_ms, handshake.duration_ms) >= 900


def test_many_addresses_that_do_not_answer_share_one_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with eight dead addresses must not hold a thread eight times as long."""
    dead = [(0, 0, 0, "", (f"192.0.2.{number}", 80)) for number in range(1, 9)]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_args, **_kwargs: dead)
    timeouts: list[float] = []

    def connect(_address: tuple[str, int], timeout: float) -> socket.socket:
        timeouts.append(timeout)
        time.sleep(timeout)  # as connecting to an address that drops packets
        raise TimeoutError

    monkeypatch.setattr("socket.create_connection", connect)
    began = failure("http://hooks.example.com/", 0.5)
    assert began.code == "connect_timeout"
    assert sum(timeouts) <= 0.5
