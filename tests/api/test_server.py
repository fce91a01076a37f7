"""Requests on sockets: early errors, incomplete uploads, persistent connections, malformed requests."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from waitress.channel import ClientDisconnected
from waitress.task import ErrorTask

from api.context import Context
from store import accounts, jobs
from store.owners import DEFAULT_OWNER
from tests.api.conftest import AUTH, KEY, VIDEO, connect
from tests.store import rows

Serve = Callable[..., str]
Left = Callable[[], list[Path]]

FORM = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
END = b"\r\n--B--\r\n"


@contextmanager
def connection(root: str) -> Iterator[socket.socket]:
    place = urlsplit(root)
    with socket.create_connection((str(place.hostname), int(place.port or 0)), timeout=30) as sock:
        yield sock


def head(length: int, *, key: str = KEY, path: str = "/upload", more: str = "") -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: {length}\r\n"
        f"Content-Type: multipart/form-data; boundary=B\r\n{more}\r\n"
    ).encode()


def answer(sock: socket.socket) -> bytes:
    """Return one answer's first bytes."""
    return sock.recv(65_536)


def whole_answer(sock: socket.socket) -> bytes:
    """Return an answer after which the server closes the connection."""
    return b"".join(iter(lambda: sock.recv(65_536), b""))


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        pytest.param(head(10**8, key="wrong"), b"401", id="wrong key"),
        pytest.param(head(10**12), b"413", id="too large"),
        pytest.param(head(10**8, path="/webhooks"), b"413", id="too large for JSON"),
        pytest.param(head(10**8).replace(b"multipart/form-data", b"text/plain"), b"415", id="no form"),
        pytest.param(head(10**8, path="/uploads"), b"404", id="no such path"),
        pytest.param(head(10**8, path="/upload/"), b"404", id="a slash too many"),
        pytest.param(head(10**8).replace(b"POST", b"PUT"), b"405", id="wrong method"),
        pytest.param(head(10**8, path="/status/x"), b"405", id="a path that takes no body"),
        pytest.param(head(10**8, more="Content-Encoding: gzip\r\n"), b"415", id="compressed"),
        pytest.param(
            head(1, path="/uploads").replace(b"Content-Length: 1", b"Transfer-Encoding: chunked"),
            b"404",
            id="no such path, chunked",
        ),
        pytest.param(
            head(1, path="/webhooks").replace(b"Content-Length: 1", b"Transfer-Encoding: chunked"),
            b"411",
            id="chunked, but no upload",
        ),
        pytest.param(head(10_000, path="/webhooks", key="wrong"), b"401", id="wrong key for a small body"),
        pytest.param(head(10_000, path="/login"), b"413", id="too large for a sign-in"),
        pytest.param(head(10, path="/health").replace(b"POST", b"GET"), b"413", id="a body of a GET"),
        pytest.param(head(1).replace(b"Content-Length: 1\r\n", b""), b"411", id="no length"),
    ],
)
def test_a_refusal_does_not_wait_for_the_body(serve: Serve, request_head: bytes, status: bytes) -> None:
    with connection(serve()) as sock:
        sock.sendall(request_head)

        assert answer(sock).startswith(b"HTTP/1.1 " + status)


def test_who_asks_before_sending_is_refused_before_sending(serve: Serve) -> None:
    """Stock waitress says "100 Continue" first and takes the whole body in."""
    with connection(serve()) as sock:
        sock.sendall(head(10**12, more="Expect: 100-continue\r\n"))

        assert answer(sock).startswith(b"HTTP/1.1 413")


def test_who_asks_before_sending_may_send(serve: Serve) -> None:
    body = FORM + VIDEO + END
    with connection(serve()) as sock:
        sock.sendall(head(len(body), more="Expect: 100-continue\r\n"))
        assert answer(sock).startswith(b"HTTP/1.1 100")
        sock.sendall(body)

        assert answer(sock).startswith(b"HTTP/1.1 202")


def test_what_is_no_video_is_refused_while_it_is_being_sent(serve: Serve, left: Left) -> None:
    with connection(serve()) as sock:
        sock.sendall(head(10**8) + FORM + b"#EXTM3U\n" * 20)

        assert answer(sock).startswith(b"HTTP/1.1 415")
    assert left() == []


def test_a_wrong_field_before_the_file_is_refused_before_the_file(serve: Serve, left: Left) -> None:
    field = b'--B\r\nContent-Disposition: form-data; name="platforms"\r\n\r\nmyspace\r\n'
    with connection(serve()) as sock:
        sock.sendall(head(10**8) + field + FORM)

        assert answer(sock).startswith(b"HTTP/1.1 422")
    assert left() == []


@pytest.mark.parametrize(
    ("fields", "status", "word"),
    [
        pytest.param({"platforms": "tiktok"}, b"409", b"account_missing", id="platform without an account"),
        pytest.param({"webhook_url": "ftp://example.com/x"}, b"422", b"webhook_url", id="webhook scheme"),
        pytest.param({"webhook_url": "https://127.0.0.1/x"}, b"422", b"webhook_url", id="webhook to this machine"),
        pytest.param(
            {"webhook_url": "https://printer.local/x"}, b"422", b"webhook_url", id="webhook to a private name"
        ),
        pytest.param({"platforms": "youtube", "title": "x" * 95}, b"422", b"title_too_long", id="title too long"),
        pytest.param({"platforms": "youtube", "caption": "<b>"}, b"422", b"text_unusable", id="caption unusable"),
    ],
)
def test_options_that_come_before_the_file_are_judged_before_it(
    serve: Serve, context: Context, left: Left, fields: dict[str, str], status: bytes, word: bytes
) -> None:
    connect(context, "youtube")
    with connection(serve(webhook_allow_private=False)) as sock:
        sock.sendall(head(10**8) + _fields(fields) + FORM)

        received = whole_answer(sock)

    assert received.startswith(b"HTTP/1.1 " + status)
    assert word in received
    assert left() == []


def test_what_may_still_follow_the_file_is_not_judged_before_it(serve: Serve, context: Context) -> None:
    """The file's name is the title only if no title follows, and platforms may follow, too."""
    connect(context, "youtube")
    form = _fields({"caption": "<b>"}) + FORM.replace(b"a.mp4", b"x" * 150 + b".mp4") + VIDEO
    form += b"\r\n" + _fields({"title": "Short", "platforms": "youtube", "metadata": "{}"})[:-2] + END
    with connection(serve()) as sock:
        sock.sendall(head(len(form), more="Connection: close\r\n") + form)

        received = whole_answer(sock)

    assert received.startswith(b"HTTP/1.1 422")
    assert b"text_unusable" in received  # judged at the end: the caption, not the name


def test_a_repeated_upload_is_answered_although_its_account_is_gone(serve: Serve, context: Context) -> None:
    connect(context, "youtube")
    form = _fields({"platforms": "youtube"}) + FORM + VIDEO + END
    root = serve()
    answers = []
    for _ in range(2):
        with connection(root) as sock:
            sock.sendall(head(len(form), more='Idempotency-Key: "k1"\r\n') + form)
            answers.append(answer(sock))
        with context.store.writing(scope="everything") as database:
            accounts.disconnect(database, "youtube-1")

    assert [b"HTTP/1.1 202"] * 2 == [one[:12] for one in answers]


def _fields(fields: dict[str, str]) -> bytes:
    return b"".join(
        f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    )


def test_who_still_sends_can_read_the_refusal_afterwards(serve: Serve) -> None:
    """A connection that is closed with unread bytes is reset, and browsers then show a network error."""
    with connection(serve()) as sock:
        sock.sendall(head(30_000_000, key="wrong"))
        for _ in range(30):
            sock.sendall(bytes(1_000_000))

        assert answer(sock).startswith(b"HTTP/1.1 401")


def test_what_follows_a_refusal_is_never_taken_for_a_request(serve: Serve, context: Context) -> None:
    with context.store.writing(scope="everything") as opened:
        jobs.create(opened, rows.job("job"))
    hidden = f"DELETE /jobs/job HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode()
    with connection(serve()) as sock:
        sock.sendall(head(10**8, key="wrong") + hidden)
        sock.shutdown(socket.SHUT_WR)
        everything = b"".join(iter(lambda: sock.recv(65_536), b""))

    assert everything.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("sent", [FORM[:20], FORM + VIDEO[:3], FORM + VIDEO, FORM + VIDEO + END[:4]])
def test_an_upload_that_is_cut_off_leaves_nothing(serve: Serve, context: Context, sent: bytes) -> None:
    root = serve()
    with connection(root) as sock:
        sock.sendall(head(len(FORM + VIDEO + END)) + sent)
        sock.shutdown(socket.SHUT_WR)
        assert answer(sock) == b""  # the server deletes the file and its directory, then closes the connection

    assert not list(context.settings.uploads_dir.iterdir())
    with context.store.reading() as opened:
        assert jobs.page(opened, DEFAULT_OWNER, limit=9) == []
    assert requests.get(f"{root}/", timeout=30).ok


def test_a_chunked_upload_that_grows_too_large_is_stopped(serve: Serve, left: Left) -> None:
    request_head = head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    content = FORM + VIDEO * 3
    with connection(serve(max_upload_size=len(VIDEO))) as sock:
        sock.sendall(request_head + f"{len(content):x}\r\n".encode() + content + b"\r\n")

        assert answer(sock).startswith(b"HTTP/1.1 413")
    assert left() == []


def test_many_idle_connections_do_not_block_others(serve: Serve) -> None:
    root = serve()
    idle = [connection(root) for _ in range(150)]
    opened = [one.__enter__() for one in idle]
    try:
        for sock in opened:
            sock.sendall(b"GET / HTT")

        assert requests.get(f"{root}/", timeout=30).ok
    finally:
        for one in idle:
            one.__exit__(None, None, None)


def test_a_connection_stays_open_after_an_answer_without_a_body(serve: Serve, context: Context) -> None:
    with context.store.writing(scope="everything") as opened:
        jobs.create(opened, rows.job("job"))
    place = urlsplit(serve())
    with closing(http.client.HTTPConnection(str(place.hostname), place.port, timeout=30)) as client:
        client.request("GET", "/status/job", headers=AUTH)
        first = client.getresponse()
        first.read()
        socket_of_first = client.sock
        for _ in range(3):
            client.request("GET", "/status/job", headers=AUTH | {"If-None-Match": str(first.headers["ETag"])})
            again = client.getresponse()
            again.read()
            assert (again.status, again.will_close) == (304, False)
        assert client.sock is socket_of_first


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost x\r\n\r\n", b"400", id="broken header"),
        pytest.param(b"GET /jobs HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 40_000 + b"\r\n\r\n", b"431", id="long header"),
        pytest.param(b"POST /jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", b"501", id="gzip"),
    ],
)
def test_what_the_server_itself_refuses_is_a_problem_document_too(serve: Serve, raw: bytes, status: bytes) -> None:
    with connection(serve()) as sock:
        sock.sendall(raw)
        found = answer(sock)

    assert found.split(b" ")[1] == status
    assert b"application/problem+json" in found


def test_a_session_cookie_is_enough_for_an_upload(serve: Serve, context: Context) -> None:
    root = serve()
    session = requests.Session()
    assert session.post(f"{root}/login", json={"key": KEY}, timeout=30).status_code == 204

    files = {"file": ("a.mp4", VIDEO)}
    assert session.post(f"{root}/upload", files=files, headers={"Origin": root}, timeout=30).status_code == 202
    for foreign in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://attacker.example"}, {"Origin": "null"}, {}):
        assert session.post(f"{root}/upload", files=files, headers=foreign, timeout=30).status_code == 403
    session.close()


def test_a_key_that_is_not_ascii_is_just_wrong(serve: Serve) -> None:
    with connection(serve()) as sock:
        sock.sendall(b"GET /jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer caf\xe9\r\n\r\n")

        assert answer(sock).startswith(b"HTTP/1.1 401")


def test_the_private_port_tells_metrics_without_a_key(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    root = serve(metrics_port=port)

    assert requests.get(f"{root}/metrics", timeout=30).status_code == 401
    assert "vidprod_queue_messages" in requests.get(f"{root}/metrics", headers=AUTH, timeout=30).text
    assert "vidprod_queue_messages" in requests.get(f"http://127.0.0.1:{port}/metrics", timeout=30).text
    assert requests.get(f"http://127.0.0.1:{port}/jobs", timeout=30).status_code == 404


LOGIN = b"POST /login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKED = head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(CHUNKED + b"1" * 4096, b"400", id="a chunk size without end"),
        pytest.param(CHUNKED + b"0\r\nA: " + b"1" * 20_000, b"400", id="a trailer without end"),
        pytest.param(LOGIN + b"100000\r\n" + b"x" * 0x100000 + b"\r\n", b"411", id="a large body nobody announced"),
        pytest.param(b"GET /health HTTP/1.1\r\nContent-Length: " + b"1" * 5000 + b"\r\n\r\n", b"400", id="long number"),
        pytest.param(b"GET http://[::1/health HTTP/1.1\r\nHost: x\r\n\r\n", b"400", id="half an address"),
    ],
)
def test_nobody_without_a_key_fills_memory_disk_or_log(serve: Serve, sent: bytes, status: bytes) -> None:
    with connection(serve()) as sock:
        sock.sendall(sent)

        assert answer(sock).split(b" ")[1] == status


def test_a_client_that_disconnects_while_its_error_is_sent_gets_its_connection_closed(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A malformed request has no path; waitress logged its path and failed, and the connection stayed open."""

    def service(task: ErrorTask) -> None:
        raise ClientDisconnected

    monkeypatch.setattr(ErrorTask, "service", service)
    with connection(serve()) as sock:
        sock.sendall(b"GET http://[::1/health HTTP/1.1\r\nHost: x\r\n\r\n")

        assert answer(sock) == b""
