"""The page and the real API over a network that loses the answer to an upload."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from api.context import Context
from api.http import idempotency
from api.http.idempotency import IncomingRequest, InProgress
from store import jobs
from tests.api.conftest import KEY, VIDEO, clock, context, serving
from tests.frontend.browser import Browser

__all__ = ["clock", "context"]  # fixtures


class Network:
    """Passes connections on to the server; once it is broken, no answer comes back."""

    def __init__(self, root: str) -> None:
        place = urlsplit(root)
        self._server = (str(place.hostname), int(place.port or 0))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        self.breaks_at: bytes | None = None  # the beginning of the answer at which it breaks
        self.broken = False

    def serve(self) -> None:
        """Accept connections until the listener is closed."""
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                for pump in (lambda c=client, s=server: self._pump(c, s), lambda c=client, s=server: self._back(s, c)):
                    threading.Thread(target=pump, daemon=True).start()

    def close(self) -> None:
        """Accept no more connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(65_536):
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        with closing(server), closing(client), suppress(OSError):
            while piece := server.recv(65_536):
                self.broken = self.broken or (self.breaks_at is not None and piece.startswith(self.breaks_at))
                if self.broken:
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(piece)


@contextmanager
def network(root: str) -> Iterator[Network]:
    between = Network(root)
    thread = threading.Thread(target=between.serve, name="network")
    thread.start()
    try:
        yield between
    finally:
        between.close()
        thread.join(10)


def choose(window: Browser, address: str, clip: Path, size: int) -> None:
    """Sign in and choose a video of this size."""
    clip.write_bytes(VIDEO + bytes(size))
    window.reset().open(address)
    window.fill("#key", KEY)
    window.click("#sign-in button")
    window.find("#file-label")
    window.choose_file("#file", clip)
    window.fill("#title", "Once only")


def test_a_video_whose_answer_got_lost_is_sent_again_and_is_one_video(
    window: Browser, context: Context, tmp_path: Path
) -> None:
    with serving(context) as root, network(root) as between:
        choose(window, between.url, tmp_path / "talk.mp4", 500_000)
        between.breaks_at = b"HTTP/1.1 202"
        window.click("#upload-start")
        window.until_text("#sending-error", "the answer got lost")
        assert between.broken
        with context.store.reading() as connection:
            [job] = jobs.page(connection, limit=9)

        between.breaks_at, between.broken = None, False
        window.click("#upload-retry")
        window.until_text("#job-title", "Once only")
        address = window.run("return location.hash")
        window.complaints()  # the browser's own lines about broken connections
        window.open("about:blank")

    assert address == f"#job={job.id}"
    with context.store.reading() as connection:
        assert [job] == jobs.page(connection, limit=9)
    uploads = context.settings.uploads_dir
    window.until("one upload", lambda: [path.name for path in uploads.iterdir()] == [job.id])


def test_a_try_that_is_refused_at_its_head_is_made_again(
    window: Browser, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server still holds the try before; it says so while the browser is sending megabytes."""
    monkeypatch.setattr(idempotency, "RETRY_AFTER_S", 0)
    keys: list[str] = []
    begin = InProgress.begin

    def begin_late(in_progress: InProgress, key: str, request: IncomingRequest) -> None:
        keys.append(key)
        if len(keys) == 1:
            begin(in_progress, key, request)
            try:
                begin(in_progress, key, request)
            finally:
                in_progress.end(key, request)
        begin(in_progress, key, request)

    monkeypatch.setattr(InProgress, "begin", begin_late)
    with serving(context) as root:
        choose(window, root, tmp_path / "talk.mp4", 20_000_000)
        window.click("#upload-start")
        window.until_text("#job-title", "Once only")
        window.complaints()  # the refusal
        window.open("about:blank")

    assert (2, 1) == (len(keys), len(set(keys)))
    with context.store.reading() as connection:
        assert len(jobs.page(connection, limit=9)) == 1
