"""Fixtures for the platforms: one mock server for the whole run, videos of random bytes, a server for the videos."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.platforms.mock_server import MockServer
from tests.platforms.publishing_run import PostFactory

SUMMARY_LINES = pytest.StashKey[list[str]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print how many publications of the fault matrix ended how."""
    for line in config.stash.get(SUMMARY_LINES, []):
        terminalreporter.write_line(f"fault matrix, {line}")


@pytest.fixture(scope="session")
def mock_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MockServer]:
    server = MockServer(tmp_path_factory.mktemp("mock"), "--processing-seconds", "0")
    yield server
    server.kill()


@pytest.fixture
def mock(mock_process: MockServer) -> Iterator[MockServer]:
    mock_process.clear_faults()
    yield mock_process
    mock_process.clear_faults()


@pytest.fixture(scope="session")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostFactory]:
    directory = tmp_path_factory.mktemp("videos")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), videos_of(directory))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield PostFactory(directory, f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()


def videos_of(directory: Path) -> type[http.server.SimpleHTTPRequestHandler]:
    """Return a handler that serves the videos of a directory, as the product does for Meta."""

    class Videos(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, directory=str(directory), **kwargs)  # type: ignore[arg-type]  # passed through

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    return Videos
