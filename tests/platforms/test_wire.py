"""One request, one answer, whatever the other side does."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from platforms.http import client
from platforms.http.client import FileRange, NeverSent, ResponseLost
from tests.platforms.loopback import Talk, answering, server

SECRET = "token-that-nobody-may-see"


def drip(connection: socket.socket, _first: bytes) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000:
        connection.sendall(bytes([byte]))
        time.sleep(0.02)


def silent(connection: socket.socket, _first: bytes) -> None:
    time.sleep(5)


def hang_up(connection: socket.socket, _first: bytes) -> None:
    pass


def endless(connection: socket.socket, _first: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65_536)


def broken_body(connection: socket.socket, _first: bytes) -> None:
    connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\nonly this")


@pytest.mark.parametrize("talk", [drip, silent])
def test_a_slow_answer_ends_at_the_deadline(talk: object) -> None:
    """A drip of one byte at a time never meets a timeout of reads; the deadline counts from the beginning."""
    with server(talk) as (base, _), pytest.raises(ResponseLost, match="deadline"):  # type: ignore[arg-type]  # one of two
        started = time.monotonic()
        try:
            client.request("GET", f"{base}/?access_token={SECRET}", deadline_s=0.3)
        finally:
            assert time.monotonic() - started < 3


def test_an_upload_that_nobody_takes_ends_at_the_deadline(tmp_path: Path) -> None:
    """Writing, too, is under the deadline."""
    film = tmp_path / "film"
    film.write_bytes(b"x" * 30_000_000)
    with server(silent) as (base, _), FileRange(film, 0, 30_000_000) as part, pytest.raises(ResponseLost):
        client.request("PUT", base, body=part, deadline_s=0.3)


def test_an_answer_without_end_is_read_up_to_the_cap() -> None:
    """And says that it is not whole."""
    with server(endless) as (base, _):
        reply = client.request("GET", base, body_cap=100_000)
    assert (len(reply.body), reply.whole) == (100_000, False)


def test_a_status_counts_although_its_body_breaks_off() -> None:
    """A receiver that says 202 has taken the event."""
    with server(broken_body) as (base, _):
        reply = client.request("POST", base, body=b"{}")
    assert (reply.status, reply.whole) == (202, False)


def test_redirects_are_answers_and_are_not_followed() -> None:
    """Not even looked at: a malformed address in them harms nobody."""
    for location in ("http://127.0.0.1:1/", "http://[", "file:///etc/passwd"):
        with server(answering("302 Found", b"", f"Location: {location}")) as (base, heard):
            assert client.request("GET", base).status == 302
        assert len(heard) == 1


def test_whether_the_request_left_is_told_apart() -> None:
    """Nothing was sent: simply try again. Something was sent: ask first."""
    with server(hang_up) as (base, _), pytest.raises(ResponseLost):
        client.request("POST", base, body=b"{}")
    for url in ("http://127.0.0.1:1/", "http://no-such-name.invalid/", "http://[bad/", "nonsense"):
        with pytest.raises(NeverSent):
            client.request("GET", url)
    with server(answering("200 OK")) as (base, _), pytest.raises(NeverSent):  # no TLS there
        client.request("POST", base.replace("http:", "https:"), body=b"{}")


def test_no_proxy_no_netrc_no_cookie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment may not lead requests, and with them tokens, elsewhere."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with server(answering("200 OK")) as (proxy, led_astray):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
        with server(answering("200 OK", b"", "Set-Cookie: a=b")) as (base, heard):
            client.request("GET", base)
            client.request("GET", base)
    assert led_astray == []
    assert len(heard) == 2
    assert all(b"ookie" not in block and b"uthorization" not in block for block in heard)


def test_given_addresses_are_called_instead_of_the_name() -> None:
    """Host keeps the name and its port."""
    with server(answering("200 OK")) as (base, heard):
        port = base.rpartition(":")[2]
        client.request("GET", f"http://hooks.example.com:{port}/x", addresses=("127.0.0.2", "127.0.0.1"))
    assert f"Host: hooks.example.com:{port}".encode() in heard[0]


def test_tokens_appear_in_no_error_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """The libraries below would write whole addresses."""
    caplog.set_level(logging.DEBUG)
    with server(hang_up) as (base, _), pytest.raises(ResponseLost) as caught:
        client.request("GET", f"{base}/?access_token={SECRET}", headers={"Authorization": f"Bearer {SECRET}"})
    with pytest.raises(NeverSent) as refused:
        client.request("GET", f"http://127.0.0.1:1/?access_token={SECRET}")
    with server(answering("200 OK", SECRET.encode())) as (base, _):
        reply = client.request("GET", f"{base}/?access_token={SECRET}")

    with server(answering("200 OK", b"", "this is no header")) as (base, _):
        client.request("GET", f"{base}/?access_token={SECRET}")

    assert SECRET not in f"{caught.value!r} {refused.value!r} {reply!r}"
    assert caught.value.__suppress_context__
    assert SECRET not in caplog.text


def test_a_part_of_a_file_is_exactly_that_part(tmp_path: Path) -> None:
    """In blocks, from disk, with its length announced."""
    film = tmp_path / "film"
    film.write_bytes(bytes(range(256)) * 1000)
    with FileRange(film, 1000, 200_000) as part:
        assert len(part) == 200_000
        assert b"".join(part) == film.read_bytes()[1000:201_000]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("12", 12.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("999999999", 86_400.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str, seconds: float | None) -> None:
    """Nobody makes us wait longer than a day."""
    assert client.Response(503, {"Retry-After": header}, b"").retry_after_s == seconds


def test_a_handshake_that_never_ends_is_cut_at_the_deadline() -> None:
    """Nothing of the request was sent then."""
    with server(silent) as (base, _), pytest.raises(NeverSent, match="deadline"):
        client.request("POST", base.replace("http:", "https:"), body=b"{}", deadline_s=0.3)


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the environment names another bundle of authorities."""
    certificate = self_signed(tmp_path, "hooks.example.com")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def talk(connection: socket.socket, first: bytes) -> None:
        raise AssertionError("the handshake should have failed")

    with tls_server(context, talk) as port, pytest.raises(NeverSent, match="SSL"):
        client.request("POST", f"https://hooks.example.com:{port}/", body=b"{}", addresses=("127.0.0.1",))


def test_a_vouched_certificate_is_checked_against_the_name_and_not_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection goes to a judged address; SNI, certificate and Host keep the name."""
    certificate = self_signed(tmp_path, "hooks.example.com")
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    talk = answering("200 OK", b"ok")

    with tls_server(context, talk) as port:
        reply = client.request("POST", f"https://hooks.example.com:{port}/", body=b"{}", addresses=("127.0.0.1",))
        assert reply.body == b"ok"
        with pytest.raises(NeverSent, match="SSL"):
            client.request("POST", f"https://other.example.com:{port}/", body=b"{}", addresses=("127.0.0.1",))


def self_signed(directory: Path, name: str) -> Path:
    """Write a certificate for a name, with its key, into one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = directory / "certificate.pem"
    encoding = serialization.Encoding.PEM
    secret = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(secret + certificate.public_bytes(encoding))
    return path


@contextlib.contextmanager
def tls_server(context: ssl.SSLContext, talk: Talk) -> Iterator[int]:
    """Serve over TLS; a failed handshake ends that connection only."""

    def wrapped(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as safe:
            talk(safe, safe.recv(65_536))

    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                wrapped(listener.accept()[0])

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()
