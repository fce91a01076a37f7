"""The actors' own wiring, on the tests' data directory, emptied before each test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from actors import wiring
from actors.flow import tokens
from actors.recovery.lost_found import DIRECTORY_NAMES
from platforms.contract import AuthorizedAccount
from store import Store
from store.tables import metadata
from tests.actors.one_publication import Remote, create_job
from tests.actors.queues import change_machine, change_settings

LOCKS = Path("/proc/locks")


@pytest.fixture
def store() -> Iterator[Store]:
    wiring.machine.store.migrate()
    with wiring.machine.store.writing() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    wiring.machine.broker.flush_all()
    for name in ("uploads", "jobs", *DIRECTORY_NAMES):
        shutil.rmtree(wiring.machine.settings.data_dir / name, ignore_errors=True)
    before = _locks()
    yield wiring.machine.store
    # A test that closes the broker may close the last connection, and the locks end with it.
    lost = (before - _locks()) & _open_files()
    assert not lost, "the test opened and closed the database's file, which ended this process's locks on it"
    wiring.machine.broker.flush_all()


def _locks() -> set[str]:
    """Return the inodes of the database's files on which this process has a lock.

    Without them, another process takes itself for the last user, and deletes the write-ahead log.
    """
    path = wiring.machine.settings.database_path
    files = [file for file in (path, path.with_name(f"{path.name}-shm")) if file.exists()]
    inodes = {str(file.stat().st_ino) for file in files}
    with LOCKS.open() as lines:
        columns = [line.split() for line in lines if "->" not in line]
    return {line[5].rpartition(":")[2] for line in columns if line[4] == str(os.getpid())} & inodes


def _open_files() -> set[str]:
    """Return the inodes of all files that this process has open."""
    inodes = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the descriptor of the listing itself is closed
            inodes.add(str(os.fstat(int(descriptor.name)).st_ino))
    return inodes


@pytest.fixture
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let media work be tried again at once."""
    change_settings(monkeypatch, media_retry_seconds=0.0)


@pytest.fixture
def publishing_job(store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[[Remote], None]:
    """Return what installs a platform; a job with one part, ready and let go, is there."""
    usable = AuthorizedAccount("tiktok-1", "tiktok", "tiktok", "r", "@a", "token")
    monkeypatch.setattr(tokens, "get_access", lambda *_: tokens.Access(usable, b"sealed"))

    def install(remote: Remote) -> None:
        change_machine(monkeypatch, publisher=lambda _: remote)

    with store.writing() as connection:
        create_job(connection)
    return install
