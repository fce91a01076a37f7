"""The HTTP client: its limits hold whatever the server does."""

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

SECRET = "secret-token"


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
def test_a_slow_response_ends_at_the_deadline(talk: object) -> None:
    """Single bytes never exceed the read timeout; the deadline counts from the start of the exchange."""
    with server(talk) as (base, _), pytest.raises(ResponseLost, match="deadline"):  # type: ignore[arg-type]  # one of two
        started = time.monotonic()
        try:
            client.request("GET", f"{base}/?access_token={SECRET}", deadline_s=0.3)
        finally:
            assert time.monotonic() - started < 3


def test_an_upload_that_is_not_read_ends_at_the_deadline(tmp_path: Path) -> None:
    """The deadline covers writing, too."""
    video = tmp_path / "video"
    video.write_bytes(b"x" * 30_000_000)
    with server(silent) as (base, _), FileRange(video, 0, 30_000_000) as part, pytest.raises(ResponseLost):
        client.request("PUT", base, body=part, deadline_s=0.3)


def test_an_endless_response_is_read_up_to_the_cap() -> None:
    """The response is marked as not whole."""
    with server(endless) as (base, _):
        reply = client.request("GET", base, body_cap=100_000)
    assert (len(reply.body), reply.whole) == (100_000, False)


def test_a_status_counts_although_its_body_breaks_off() -> None:
    """A receiver that responds with 202 has accepted the event."""
    with server(broken_body) as (base, _):
        reply = client.request("POST", base, body=b"{}")
    assert (reply.status, reply.whole) == (202, False)


def test_redirects_are_returned_and_not_followed() -> None:
    """The target is not even parsed, so a malformed one is harmless."""
    for location in ("http://127.0.0.1:1/", "http://[", "file:///etc/passwd"):
        with server(answering("302 Found", b"", f"Location: {location}")) as (base, first_blocks):
            assert client.request("GET", base).status == 302
        assert len(first_blocks) == 1


def test_errors_say_whether_the_request_was_sent() -> None:
    """After NeverSent the request is simply repeated; after ResponseLost the caller asks first."""
    with server(hang_up) as (base, _), pytest.raises(ResponseLost):
        client.request("POST", base, body=b"{}")
    for url in ("http://127.0.0.1:1/", "http://no-such-name.invalid/", "http://[bad/", "nonsense"):
        with pytest.raises(NeverSent):
            client.request("GET", url)
    with server(answering("200 OK")) as (base, _), pytest.raises(NeverSent):  # no TLS there
        client.request("POST", base.replace("http:", "https:"), body=b"{}")


def test_no_proxy_no_netrc_no_cookie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment cannot redirect requests, and with them tokens, to another server."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with server(answering("200 OK")) as (proxy, proxied):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
        with server(answering("200 OK", b"", "Set-Cookie: a=b")) as (base, first_blocks):
            client.request("GET", base)
            client.request("GET", base)
    assert proxied == []
    assert len(first_blocks) == 2
    assert all(b"ookie" not in block and b"uthorization" not in block for block in first_blocks)


def test_given_addresses_are_called_instead_of_the_name() -> None:
    """The Host header still holds the name and its port."""
    with server(answering("200 OK")) as (base, first_blocks):
        port = base.rpartition(":")[2]
        client.request("GET", f"http://hooks.example.com:{port}/x", addresses=("127.0.0.2", "127.0.0.1"))
    assert f"Host: hooks.example.com:{port}".encode() in first_blocks[0]


def test_tokens_appear_in_no_error_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """The libraries below the client would log whole addresses."""
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


def test_a_file_range_is_exactly_that_range(tmp_path: Path) -> None:
    """It is read from disk in blocks, and its length is announced."""
    video = tmp_path / "video"
    video.write_bytes(bytes(range(256)) * 1000)
    with FileRange(video, 1000, 200_000) as part:
        assert len(part) == 200_000
        assert b"".join(part) == video.read_bytes()[1000:201_000]


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
    """A wait is never longer than a day."""
    assert client.Response(503, {"Retry-After": header}, b"").retry_after_s == seconds


def test_a_handshake_that_never_ends_is_cut_at_the_deadline() -> None:
    """No byte of the request was sent by then."""
    with server(silent) as (base, _), pytest.raises(NeverSent, match="deadline"):
        client.request("POST", base.replace("http:", "https:"), body=b"{}", deadline_s=0.3)


def test_a_certificate_without_a_known_authority_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment cannot add another bundle of authorities."""
    certificate = self_signed(tmp_path, "hooks.example.com")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def talk(connection: socket.socket, first: bytes) -> None:
        raise AssertionError("the handshake should have failed")

    with tls_server(context, talk) as port, pytest.raises(NeverSent, match="SSL"):
        client.request("POST", f"https://hooks.example.com:{port}/", body=b"{}", addresses=("127.0.0.1",))


def test_a_certificate_is_checked_against_the_name_and_not_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection goes to a given address; SNI, certificate and Host use the name."""
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


def self_signed(directory: Path, name: str, *, ends_in: timedelta = timedelta(days=1)) -> Path:
    """Write a certificate for a name, with its key, into one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=3))
        .not_valid_after(now + ends_in)
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
    """Serve over TLS; a failed handshake ends only its own connection."""

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
