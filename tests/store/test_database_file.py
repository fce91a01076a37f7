"""A database that is deleted, replaced or damaged under a store that has it open."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from broker import WriteLock
from store import jobs
from store.connection import MIGRATIONS, known_versions
from store.database_file import DatabaseFile, DatabaseMonitor
from store.errors import DatabaseReplaced, DatabaseUnavailable
from store.sqlite import SqliteStore
from tests.store.rows import job

Loss = Callable[[Path], object]


def _delete(path: Path) -> None:
    path.unlink()


def _delete_all(path: Path) -> None:
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink()


def _replace_by_copy(path: Path) -> None:
    subprocess.run(["cp", path, path.with_name("copy")], check=True)  # not by this process, which has locks on it
    path.with_name("copy").replace(path)


def _move_away(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


def _delete_wal(path: Path) -> None:
    path.with_name(f"{path.name}-wal").unlink()


def _replace_wal(path: Path) -> None:
    wal = path.with_name(f"{path.name}-wal")
    shutil.copy(wal, wal.with_name("copy"))
    wal.with_name("copy").replace(wal)


def _delete_shm(path: Path) -> None:
    path.with_name(f"{path.name}-shm").unlink()


LOSSES: list[Loss] = [_delete, _delete_all, _replace_by_copy, _move_away, _delete_wal, _replace_wal, _delete_shm]


@pytest.fixture(params=LOSSES, ids=lambda loss: loss.__name__.strip("_"))
def loss(request: pytest.FixtureRequest) -> Loss:
    given: Loss = request.param
    return given


def test_nothing_is_read_or_written_once_the_file_is_another_one(store: SqliteStore, loss: Loss) -> None:
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job("before"))
    loss(store.path)
    left = sorted(found.name for found in store.path.parent.iterdir())

    for _ in range(2):
        with pytest.raises(DatabaseReplaced, match="restart the machine"):
            store.check()
        with pytest.raises(DatabaseReplaced), store.writing(scope="everything"):
            pytest.fail("a transaction began in a dead file")
        with pytest.raises(DatabaseReplaced), store.reading():
            pytest.fail("a dead file was read")
    assert sorted(found.name for found in store.path.parent.iterdir()) == left  # nothing is made in its place


def test_a_file_that_is_put_back_stays_refused_until_the_process_starts_anew(store: SqliteStore) -> None:
    """Between the two somebody else may have used the other file: uploads have to be compared anew."""
    with store.reading():
        pass
    store.path.rename(store.path.with_name("elsewhere"))
    with pytest.raises(DatabaseReplaced):
        store.check()
    store.path.with_name("elsewhere").rename(store.path)
    with pytest.raises(DatabaseReplaced):
        store.check()
    store.close()
    with store.reading() as connection:
        assert jobs.get(connection, "none") is None


def test_a_change_that_was_committed_into_a_dead_file_is_told_to_nobody(store: SqliteStore, loss: Loss) -> None:
    with pytest.raises(DatabaseReplaced), store.writing(scope="everything") as connection:
        jobs.create(connection, job("late"))
        loss(store.path)


def test_many_threads_and_a_store_that_rests_are_no_replacement(store: SqliteStore) -> None:
    def work() -> None:
        for _ in range(20):
            with store.reading() as connection:
                jobs.count_by_status(connection)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for number in range(20):
        with store.writing(scope="everything") as connection:
            jobs.create(connection, job(f"{number}"))
    for thread in threads:
        thread.join()
    store.check()


def test_another_process_that_opens_and_closes_is_no_replacement(store: SqliteStore) -> None:
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job())
    with sqlite3.connect(store.path) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    store.check()
    with store.reading() as connection:
        assert jobs.get(connection, "job") is not None


def test_a_forked_child_opens_the_file_anew(store: SqliteStore) -> None:
    with store.reading():
        pass
    pid = os.fork()
    if pid == 0:
        try:
            with store.reading() as connection:
                jobs.count_by_status(connection)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0


def test_a_monitor_detects_it_too(store: SqliteStore, loss: Loss) -> None:
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job())
    monitor = DatabaseMonitor(store.path)
    monitor.check()
    loss(store.path)
    with pytest.raises(DatabaseReplaced):
        monitor.check()
    monitor.close()


def test_a_file_that_was_never_opened_has_no_identity(tmp_path: Path) -> None:
    DatabaseFile(tmp_path / "none").check()


def _header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(os.urandom(100))


def _beginning_of_each_page(path: Path) -> None:
    with path.open("r+b") as file:
        for at in range(4096, path.stat().st_size, 4096):
            file.seek(at)
            file.write(b"\xff" * 64)


def _half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _text(path: Path) -> None:
    path.write_text("this is no database, but a note of somebody's " * 100)


DAMAGES: list[Loss] = [_header, _beginning_of_each_page, _half, _text]


def _closed(store: SqliteStore) -> SqliteStore:
    """Return the store with all of it in the one file."""
    with store.writing(scope="everything") as connection:
        for number in range(50):
            jobs.create(connection, job(f"{number}"))
    store.close()
    return store


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__.strip("_"))
def test_a_damaged_file_is_found_and_named(store: SqliteStore, damage: Loss) -> None:
    damage(_closed(store).path)

    try:
        found = store.damage()
    except DatabaseUnavailable as unusable:
        found = unusable.sentence
    assert found
    with pytest.raises(DatabaseUnavailable) as told:
        _use_all(store)
    assert told.value.reason in {"damaged", "not_a_database"}
    assert "\n" not in told.value.sentence


def _use_all(store: SqliteStore) -> None:
    store.migrate()
    store.require_usable()
    if found := store.damage():
        raise DatabaseUnavailable("damaged", found)


def test_a_file_in_order_has_no_damage(store: SqliteStore) -> None:
    assert _closed(store).damage() is None


def test_a_directory_in_the_place_of_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite3").mkdir()
    store = _new(tmp_path)
    for method in (store.migrate, store.require_usable):
        with pytest.raises(DatabaseUnavailable, match="directory") as told:
            method()
        assert told.value.reason == "not_a_file"


def test_a_missing_file_is_made_by_migrate_only(tmp_path: Path) -> None:
    store = _new(tmp_path)
    with pytest.raises(DatabaseUnavailable) as told:
        store.require_usable()
    assert told.value.reason == "missing"
    with pytest.raises(DatabaseUnavailable), store.reading():
        pass
    assert list(tmp_path.iterdir()) == []
    store.migrate()
    store.require_usable()
    store.close()


def test_a_newer_and_an_older_database_are_told_apart(store: SqliteStore) -> None:
    def version(number: str) -> None:
        with store.writing(scope="everything") as connection:
            connection.exec_driver_sql("UPDATE store_version SET version_num = ?", (number,))

    version("9999")
    for method in (store.require_usable, store.migrate):
        with pytest.raises(DatabaseUnavailable, match="newer version") as told:
            method()
        assert told.value.reason == "newer"
    version("0001")
    with pytest.raises(DatabaseUnavailable, match="older version"):
        store.require_usable()


def test_the_versions_that_are_known_are_those_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    found = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert known_versions() == found[::-1]


def test_a_foreign_lock_is_told_as_that(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.reading() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=10")
    holder = sqlite3.connect(store.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseUnavailable) as told, store.writing(scope="everything"):
        pass
    holder.close()
    assert told.value.reason == "locked"
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job())


def _new(directory: Path) -> SqliteStore:
    path = directory / "store.sqlite3"
    return SqliteStore(path, write_lock=WriteLock(path), joining=lambda _: nullcontext())
