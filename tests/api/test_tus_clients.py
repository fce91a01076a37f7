"""Unmodified clients of the tus protocol upload over a line that is cut every few megabytes."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from api.context import Context
from store import jobs
from store.jobs import Job
from store.owners import DEFAULT_OWNER
from tests.api.conftest import KEY, VIDEO
from tests.frontend.browser import Browser, browser, chromedriver, require_chromedriver
from tests.support.waiting import wait_for

tusclient = pytest.importorskip("tusclient.client")
TusCommunicationError = pytest.importorskip("tusclient.exceptions").TusCommunicationError

CLIENTS = Path(__file__).parent / "tus_clients"
UPPY = "uppy@6.0.1"
SIZE_BYTES = 9_000_000
CUT_AFTER_BYTES = 2_500_000


class CutLine:
    """Passes connections on to the server, and cuts each one after so many bytes from the client."""

    def __init__(self, root: str) -> None:
        place = urlsplit(root)
        self._server = (str(place.hostname), int(place.port or 0))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.root = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.cuts = 0

    def serve(self) -> None:
        """Accept connections until the listener is closed."""
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                threading.Thread(target=self._up, args=(client, server), daemon=True).start()
                threading.Thread(target=self._down, args=(server, client), daemon=True).start()

    def close(self) -> None:
        """Accept no more connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        left = CUT_AFTER_BYTES
        with suppress(OSError):
            while piece := client.recv(min(65_536, left)):
                server.sendall(piece)
                left -= len(piece)
                if left == 0:
                    self.cuts += 1
                    client.shutdown(socket.SHUT_RDWR)
                    break
            server.shutdown(socket.SHUT_RDWR)

    def _down(self, server: socket.socket, client: socket.socket) -> None:
        with closing(server), closing(client), suppress(OSError):
            while piece := server.recv(65_536):
                client.sendall(piece)
            client.shutdown(socket.SHUT_WR)


@contextmanager
def cut_line(root: str) -> Iterator[CutLine]:
    line = CutLine(root)
    thread = threading.Thread(target=line.serve)
    thread.start()
    try:
        yield line
    finally:
        line.close()
        thread.join(10)


@pytest.fixture
def line(serve: Callable[..., str]) -> Iterator[CutLine]:
    with cut_line(serve()) as made:
        yield made


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "talk.mp4"
    path.write_bytes(VIDEO + os.urandom(SIZE_BYTES - len(VIDEO)))
    return path


def arrived(context: Context, film: Path) -> Job:
    """Return the only job; its video must be the film, byte for byte."""
    with context.store.reading() as connection:
        [job] = jobs.page(connection, DEFAULT_OWNER, limit=10)
    assert (context.settings.data_dir / job.video_path).read_bytes() == film.read_bytes()
    return job


def test_tuspy(line: CutLine, context: Context, film: Path) -> None:
    client = tusclient.TusClient(f"{line.root}/files/", headers={"Authorization": f"Bearer {KEY}"})
    with film.open("rb") as stream:
        uploader = client.uploader(file_stream=stream, metadata={"filename": "talk.mp4", "title": "From tuspy"})
        while uploader.offset < SIZE_BYTES:
            try:
                uploader.upload()
            except (TusCommunicationError, requests.ConnectionError):  # its default is to leave a new try to its user
                uploader = client.uploader(file_stream=stream, url=uploader.url)
    assert line.cuts >= 3
    assert arrived(context, film).title == "From tuspy"


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the clients that are npm packages."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    directory = tmp_path_factory.mktemp("tus_clients")
    for name in ("package.json", "package-lock.json", "upload.mjs"):
        shutil.copy(CLIENTS / name, directory)
    for command in (["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], ["npm", "pack", UPPY]):
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=180, check=False)
        if done.returncode:
            pytest.skip(f"npm cannot reach a registry: {done.stderr[-200:]}")
    [archive] = directory.glob("uppy-*.tgz")
    with tarfile.open(archive) as packed:
        packed.extract("package/dist/uppy.min.js", directory, filter="data")
    return directory


def test_tus_js_client(line: CutLine, context: Context, film: Path, packages: Path) -> None:
    command = ["node", "upload.mjs", f"{line.root}/files/", KEY, str(film)]
    done = subprocess.run(command, cwd=packages, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert line.cuts >= 3
    job = arrived(context, film)
    assert (job.title, job.original_name) == ("From tus-js-client", "talk.mp4")
    assert done.stdout.strip() == f"{line.root}/files/{job.id}"


@pytest.fixture
def window() -> Iterator[Browser]:
    require_chromedriver()
    with chromedriver() as driver_url, browser(driver_url) as opened:
        yield opened


def test_uppy(line: CutLine, context: Context, film: Path, packages: Path, window: Browser) -> None:
    window.open(f"{line.root}/")
    script = (packages / "package/dist/uppy.min.js").read_text(encoding="utf-8")
    window.run(f"{script}\n; window.Uppy = Uppy;")
    window.run(
        """
        const [endpoint, key, size, head] = arguments;
        const bytes = new Uint8Array(size);
        bytes.set(head);
        const uppy = new window.Uppy.Uppy({ meta: { title: 'From Uppy' } });
        uppy.use(window.Uppy.Tus, { endpoint, headers: { Authorization: `Bearer ${key}` } });
        uppy.addFile({ name: 'talk.mp4', type: 'video/mp4', data: new Blob([bytes], { type: 'video/mp4' }) });
        window.outcome = 'running';
        uppy.upload().then(({ failed }) => {
          window.outcome = failed.length ? String(failed[0].error) : 'done';
        });
        """,
        f"{line.root}/files",
        KEY,
        SIZE_BYTES,
        list(VIDEO),
    )
    wait_for(lambda: window.run("return window.outcome") != "running", "Uppy to end", 120)
    assert window.run("return window.outcome") == "done"
    assert line.cuts >= 3
    film.write_bytes(VIDEO + bytes(SIZE_BYTES - len(VIDEO)))
    job = arrived(context, film)
    assert (job.title, job.original_name) == ("From Uppy", "talk.mp4")
