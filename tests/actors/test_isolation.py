"""A test that damages the database of the tests' machine fails alone."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from actors import wiring
from store import DatabaseReplaced, Store, jobs
from tests.actors.queues import waiting
from tests.store.rows import job
from tests.support.machine_database import administration, empty_machine, sqlite_path

pytestmark = pytest.mark.sqlite_only("a server keeps its files")


def _use() -> None:
    with wiring.machine.store.writing(scope="everything") as connection:
        jobs.create(connection, job("job"))
        wiring.machine.send("start_publications", "unknown")


@pytest.mark.parametrize("lost", [["-wal"], ["-shm"], ["", "-wal", "-shm"]], ids=" and ".join)
def test_a_database_that_was_lost_is_created_anew(store: Store, lost: list[str]) -> None:
    _use()
    for suffix in lost:
        sqlite_path(store).with_name(sqlite_path(store).name + suffix).unlink()
    with pytest.raises(DatabaseReplaced):
        _use()

    empty_machine()

    assert waiting() == []
    _use()
    assert waiting() == [("start_publications", ("unknown",))]


@pytest.mark.usefixtures("store")
def test_a_worker_that_was_stopped_stops_no_later_work() -> None:
    wiring.machine.stopping.set()
    empty_machine()
    assert not wiring.machine.stopping.is_set()


@pytest.mark.usefixtures("store")
def test_a_queue_that_was_paused_is_resumed() -> None:
    administration().pause_queue("media")
    empty_machine()
    assert not any(queue.paused for queue in administration().queue_stats())


def test_an_open_database_cannot_be_opened_as_a_file(store: Store, tmp_path: Path) -> None:
    """Closing it would end the locks, so that another process deletes the write-ahead log."""
    _use()
    for read in (Path.read_bytes, lambda path: os.open(path, os.O_RDONLY)):
        with pytest.raises(AssertionError, match="is open in SQLite"):
            read(sqlite_path(store))
    with closing(sqlite3.connect(tmp_path / "closed.sqlite3")) as connection:
        connection.execute("CREATE TABLE a (b)")
    assert (tmp_path / "closed.sqlite3").read_bytes()
