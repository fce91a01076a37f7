"""Fixtures of all tests: their own data directory, set before any import of the project; a check for logged errors."""

from __future__ import annotations

import gc
import logging
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.postgresql_server import PostgresqlServer

SHARED_MEMORY, ROOM_BYTES = Path("/dev/shm"), 4 << 30


def _has_room(directory: Path) -> bool:
    """Return whether a run fits into a directory in memory, and may start programs there."""
    if not os.access(directory, os.W_OK | os.X_OK):
        return False
    filesystem = os.statvfs(directory)
    room = filesystem.f_bavail * filesystem.f_frsize
    available = re.search(r"MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text())
    return (
        not filesystem.f_flag & os.ST_NOEXEC
        and room >= ROOM_BYTES
        and available is not None
        and int(available[1]) << 10 >= 2 * ROOM_BYTES
    )


# The tests make some ten thousand commits, each of which waits for the disk: 1 to 4 ms, in memory 0.02 ms.
if "TMPDIR" not in os.environ and _has_room(SHARED_MEMORY):
    os.environ["TMPDIR"] = str(SHARED_MEMORY)
    tempfile.tempdir = None  # asked before
_DATA_DIR = tempfile.mkdtemp(prefix="vidprod-tests-")
for _name in [name for name in os.environ if name.endswith("_URL") or name in {"PORT", "API_KEYS", "SECRET_KEY"}]:
    del os.environ[_name]  # a developer's own settings must not steer the tests
os.environ |= {
    "DATA_DIR": _DATA_DIR,
    "ENVIRONMENT": "development",
    "WEBHOOK_ALLOW_PRIVATE": "true",
    "API_KEYS": "test-key-of-tests",
}

ENGINE = os.environ.get("TEST_ENGINE", "sqlite")
"""Of the database of this process's machine: "postgresql" runs the tests of the API and of actors on a server."""

if ENGINE == "postgresql":
    import atexit
    from contextlib import ExitStack

    from tests.postgresql_server import running_server

    _running = ExitStack()
    _server = _running.enter_context(running_server(english=True))
    atexit.register(_running.close)
    os.environ["DATABASE_URL"] = _server.url(_server.create_database())
    os.environ["SECRET_KEY"] = "secret-of-the-tests-machines"

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402
from loguru import logger  # noqa: E402

from tests.support import object_store  # noqa: E402
from tests.support.object_store import ObjectStore  # noqa: E402
from tests.support.plain_opens import refuse_plain_opens  # noqa: E402

refuse_plain_opens(Path(_DATA_DIR))

# No test fails because the machine is busy, and each run tries the same examples, so that a failure has its cause in a
# change. `--hypothesis-profile=random` tries others.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("random", settings.get_profile("default"), deadline=None, print_blob=True)
settings.load_profile("repeatable")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "sqlite_only(reason): the test is about what only a SQLite file does")
    config.addinivalue_line(
        "markers",
        "logs_errors(*loggers): errors in the log are expected here; with names of standard library loggers, only"
        " theirs and their children's",
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    marker = item.get_closest_marker("sqlite_only")
    if marker is not None:
        (reason,) = marker.args  # each has one
        if ENGINE != "sqlite":
            pytest.skip(reason)


def pytest_collection() -> None:
    """Collect no garbage while tests are collected: it found nothing, in 6 of 20 seconds."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Leave modules and collected tests out of later garbage collections.

    They are millions of objects, which live as long as the process. `media` collects garbage in each render, at its
    first frames and after its analysis: beside all tests, that took longer than decoding and encoding.
    """
    gc.enable()
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    shutil.rmtree(_DATA_DIR, ignore_errors=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Let a skip for a missing tool fail where all tools are to be there."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]  # pluggy's result
    if report.skipped and os.environ.get("CI") == "true" and "missing" in _reason(report.longrepr):
        report.outcome = "failed"


def _reason(told: object) -> str:
    """Return why a test was skipped, without its place: a file's name decides nothing."""
    return str(told[2]) if isinstance(told, tuple) else ""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """Yield an S3-compatible storage; starting it takes three seconds."""
    if object_store.program() is None:
        pytest.skip("SeaweedFS is missing (requirements-dev.txt)")
    with object_store.running(tmp_path_factory.mktemp("seaweedfs")) as store:
        yield store


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """Run a PostgreSQL server for all tests of this process."""
    from tests.postgresql_server import running_server  # noqa: PLC0415 (every test imports this module)

    with running_server() as running:
        yield running


@pytest.fixture
def own_server() -> Iterator[PostgresqlServer]:
    """Run a PostgreSQL server that the test may stop."""
    from tests.postgresql_server import running_server  # noqa: PLC0415 (every test imports this module)

    with running_server() as running:
        yield running


@pytest.fixture(scope="session", autouse=True)
def no_threads_for_time_limits() -> Iterator[None]:
    """Let brokers start no thread for Dramatiq's time limits: it never ends, and a run boots some 400 brokers.

    The product uses no time limits (see `actors.wiring`).
    """
    from dramatiq.middleware import TimeLimit  # noqa: PLC0415 (not before the settings of a test run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TimeLimit, "after_process_boot", lambda self, broker: None)
        yield


@pytest.fixture(autouse=True)
def no_unexpected_errors(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that logs an error through loguru or the standard library and is not marked `logs_errors`."""
    errors: list[tuple[str, str]] = []  # (logger, text); loguru's logger is called "loguru"
    had_worker = "actors.worker" in sys.modules
    sink = logger.add(lambda message: errors.append(("loguru", str(message))), level="ERROR")
    with _records_noted(errors):
        yield
    logger.remove(sink)
    assert (
        had_worker or "actors.worker" not in sys.modules
    )  # its import sets up the log of the whole process, and hides its memory
    marker = request.node.get_closest_marker("logs_errors")
    if marker is None:
        assert errors == []
    elif marker.args:
        assert [error for error in errors if not _is_below(error[0], marker.args)] == []


@contextmanager
def _records_noted(errors: list[tuple[str, str]]) -> Iterator[None]:
    """Note errors of the standard library's logging where records are made.

    A handler would miss loggers that do not propagate, and goes when a process configures its root logger anew.
    """
    make = logging.getLogRecordFactory()

    def noting(*args: Any, **kwargs: Any) -> logging.LogRecord:  # Any: passed on as they come
        record = make(*args, **kwargs)
        if record.levelno >= logging.ERROR:
            errors.append((record.name, ascii(record.getMessage())))  # ascii: xdist sends no lone surrogates
        return record

    logging.setLogRecordFactory(noting)
    try:
        yield
    finally:
        logging.setLogRecordFactory(make)


def _is_below(name: str, loggers: tuple[str, ...]) -> bool:
    return any(f"{name}.".startswith(f"{parent}.") for parent in loggers)


@pytest.fixture
def clips() -> Path:
    """Return the folder of real recordings, or skip."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "clips"
    if not folder.is_dir():
        pytest.skip("the real recordings lie beside a developer's checkout only")
    return folder


@pytest.fixture
def recorded() -> Path:
    """Return the folder of sample files that devices and programs wrote, or skip."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "failing" / "media"
    if not folder.is_dir():
        pytest.skip("the sample files lie beside a developer's checkout only")
    return folder
