"""Fixtures of this room: one mock for the whole run, films of random bytes, a server of films."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.platforms.journey import Studio
from tests.platforms.mock_server import MockServer


@pytest.fixture(scope="session")
def mock_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MockServer]:
    server = MockServer(tmp_path_factory.mktemp("mock"), "--processing-seconds", "0")
    yield server
    server.kill()


@pytest.fixture
def mock(mock_process: MockServer) -> Iterator[MockServer]:
    mock_process.heal()
    yield mock_process
    mock_process.heal()


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    directory = tmp_path_factory.mktemp("films")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _films_of(directory))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Studio(directory, f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()


def _films_of(directory: Path) -> type[http.server.SimpleHTTPRequestHandler]:
    class Films(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, directory=str(directory), **kwargs)  # type: ignore[arg-type]  # passed through

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    return Films
