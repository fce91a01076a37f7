"""Backups are whole or not there, readable by their owner only, rotated, and made without the write lock."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from actors import wiring
from actors.back_up import back_up
from actors.recovery import backups
from actors.recovery.backups import BackupFailed
from actors.ticks import schedule_backup
from store import DatabaseUnavailable, Store, backup, jobs
from tests.actors.queues import change_machine, change_settings, move_clock, waiting
from tests.actors.test_lost_found import ONE, upload
from tests.store.rows import job
from tests.support.machine_database import sqlite_path
from tests.support.small_disk import DISK_BYTES, machine_on, small_disk

pytestmark = pytest.mark.sqlite_only("a server has its own backups")


@pytest.fixture
def directory(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return BACKUP_DIR; the database has one job."""
    change_settings(monkeypatch, backup_dir=tmp_path / "backups", backup_hours=24.0, backup_keep=2)
    with store.writing(scope="everything") as connection:
        jobs.create(connection, job())
    return tmp_path / "backups"


def titles(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    found = [title for (title,) in connection.execute("SELECT title FROM jobs")]
    connection.close()
    return found


def test_a_backup_has_what_was_committed_and_is_private(store: Store, directory: Path) -> None:
    made = backups.make(wiring.machine, directory)
    assert titles(made.path) == ["A talk"]
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert sorted(path.name for path in directory.iterdir()) == sorted([backups.LOCK_NAME, made.path.name])


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_a_copy_can_shrink_whatever_its_source_can(tmp_path: Path, mode: int) -> None:
    """Databases of early versions keep the pages of deleted rows; a backup and a restore end that."""
    with closing(sqlite3.connect(tmp_path / "source")) as source:
        source.execute(f"PRAGMA auto_vacuum = {mode}")
        source.execute("CREATE TABLE t (x)")
        source.execute("INSERT INTO t VALUES (zeroblob(1000000))")
        source.commit()
        source.execute("BEGIN IMMEDIATE")  # the write lock is not needed
        backup.copy(tmp_path / "source", tmp_path / "copy")
    with closing(sqlite3.connect(tmp_path / "source")) as source, closing(sqlite3.connect(tmp_path / "copy")) as copy:
        assert source.execute("PRAGMA auto_vacuum").fetchone() == (mode,)
        assert copy.execute("PRAGMA auto_vacuum").fetchone() == (mode or 2,)
        assert copy.execute("SELECT length(x) FROM t").fetchall() == [(1_000_000,)]


def test_a_backup_sees_one_moment_and_waits_for_no_writer(store: Store, directory: Path) -> None:
    """An open transaction of another process holds the write lock: its changes are not in the backup."""
    with store.writing(scope="everything") as connection:
        connection.execute(text("UPDATE jobs SET title = 'Not committed'"))
        done: list[Path] = []
        thread = threading.Thread(target=lambda: done.append(make_copy(store, directory.parent / "copy")))
        thread.start()
        thread.join(30)
        assert done == [directory.parent / "copy"]  # while the lock is held
    assert titles(done[0]) == ["A talk"]


def make_copy(store: Store, target: Path) -> Path:
    backup.copy(sqlite_path(store), target)
    return target


def test_deleted_rows_are_not_in_the_file(store: Store, directory: Path) -> None:
    """The pages of the database still have their bytes."""
    with store.writing(scope="everything") as connection:
        connection.execute(text("UPDATE jobs SET caption = :text"), {"text": "a-deleted-secret" * 1000})
    with store.writing(scope="everything") as connection:
        connection.execute(text("UPDATE jobs SET caption = ''"))
    assert b"a-deleted-secret" not in backups.make(wiring.machine, directory).path.read_bytes()


def test_the_oldest_are_deleted_and_nothing_else(
    store: Store, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.mkdir()
    (directory / "my-own.sqlite3").write_bytes(b"x")
    (directory / ".vidprod-20260101T000000Z.sqlite3.part").write_bytes(b"of a process that was killed")
    made = []
    for _ in range(3):
        move_clock(monkeypatch, timedelta(days=1))
        made.append(backups.make(wiring.machine, directory).path)
    assert backups.list_files(directory) == made[1:]
    assert (directory / "my-own.sqlite3").exists()
    assert not list(directory.glob(".vidprod-2*"))


def test_the_newest_stays_though_its_name_is_the_oldest(
    store: Store, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock was years ahead when the others were made."""
    directory.mkdir()
    for year in (2096, 2097, 2098):
        (directory / f"vidprod-{year}0101T000000Z.sqlite3").write_bytes(b"x")
    made = backups.make(wiring.machine, directory).path
    assert backups.list_files(directory) == [made, directory / "vidprod-20980101T000000Z.sqlite3"]
    move_clock(monkeypatch, timedelta(days=1))
    assert backups.list_files(directory)[0] == made
    second = backups.make(wiring.machine, directory).path
    assert backups.list_files(directory) == [made, second]  # recent ones are kept, not those of a wrong clock


def test_it_is_requested_when_due_and_again_an_hour_after_a_failure(
    store: Store, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def requests() -> int:
        return waiting().count(("back_up", ()))

    schedule_backup.fn()
    schedule_backup.fn()
    assert requests() == 1
    move_both_clocks(monkeypatch, timedelta(minutes=61))  # nothing was made
    schedule_backup.fn()
    assert requests() == 2
    back_up.fn()
    move_both_clocks(monkeypatch, timedelta(hours=23))
    schedule_backup.fn()
    assert requests() == 2
    move_both_clocks(monkeypatch, timedelta(hours=2))
    schedule_backup.fn()
    assert requests() == 3


def move_both_clocks(monkeypatch: pytest.MonkeyPatch, ahead: timedelta) -> None:
    move_clock(monkeypatch, ahead)
    before = wiring.machine.boot_time
    change_machine(monkeypatch, boot_time=lambda: replace(before(), seconds=before().seconds + ahead.total_seconds()))


def test_nothing_is_requested_without_a_directory(store: Store) -> None:
    schedule_backup.fn()
    assert ("back_up", ()) not in waiting()
    back_up.fn()  # the setting was removed while the message waited


@pytest.mark.logs_errors
def test_a_directory_that_cannot_be_made_is_logged(
    store: Store, directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    directory.write_bytes(b"a file in its place")
    back_up.fn()
    assert backups.age_s(wiring.machine) is None


def test_a_damaged_database_gives_no_backup(store: Store, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backups.make(wiring.machine, directory)
    before = backups.list_files(directory)
    real = backup.copy

    def damaged(source: Path, target: Path, **options: object) -> None:
        real(source, target)
        with target.open("r+b") as file:
            file.seek(4096 * 3)
            file.write(os.urandom(4096 * 4))

    monkeypatch.setattr(backup, "copy", damaged)
    move_clock(monkeypatch, timedelta(days=1))
    with pytest.raises((BackupFailed, DatabaseUnavailable), match="damaged"):
        backups.make(wiring.machine, directory)
    assert backups.list_files(directory) == before
    assert not list(directory.glob("*.part"))


def test_a_stop_of_the_machine_ends_it(store: Store, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.writing(scope="everything") as connection:
        connection.execute(text("UPDATE jobs SET caption = :text"), {"text": "x" * 5_000_000})
    monkeypatch.setattr(backup, "_INSTRUCTIONS", 10)
    stopping = threading.Event()
    stopping.set()
    change_machine(monkeypatch, stopping=stopping)
    with pytest.raises(backup.CopyCancelled):
        backups.make(wiring.machine, directory)
    assert backups.list_files(directory) == []
    assert not list(directory.glob("*.part"))


def test_an_existing_file_is_not_overwritten(store: Store, directory: Path) -> None:
    made = backups.make_file(wiring.machine, directory.parent / "mine.sqlite3")
    before = made.path.read_bytes()
    with pytest.raises(BackupFailed, match="exists"):
        backups.make_file(wiring.machine, made.path)
    assert made.path.read_bytes() == before


def test_room_of_uploads_in_progress_is_not_taken() -> None:
    """An upload that has begun must be able to end."""
    parent = wiring.machine.settings.data_dir
    parent.mkdir(parents=True, exist_ok=True)
    with small_disk(parent, DISK_BYTES) as disk, machine_on(disk) as machine:
        machine.disk.make_ballast()
        incomplete = machine.settings.uploads_dir / ONE
        incomplete.mkdir(parents=True)
        (incomplete / ".incoming").write_bytes(b"begun")
        (incomplete / ".tus.json").write_text('{"length": 60000000, "maximum": null}')
        with pytest.raises(BackupFailed, match="has no room"):
            backups.make(machine, disk.path / "backups")
        (incomplete / ".tus.json").write_text('{"length": 1000000, "maximum": null}')
        assert titles(backups.make(machine, disk.path / "backups").path) == []


@pytest.mark.logs_errors
def test_a_disk_that_becomes_full_meanwhile_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    parent = wiring.machine.settings.data_dir
    parent.mkdir(parents=True, exist_ok=True)
    with small_disk(parent, DISK_BYTES) as disk, machine_on(disk) as machine:
        with machine.store.writing(scope="everything") as connection:
            jobs.create(connection, job())
            connection.execute(text("UPDATE jobs SET caption = :text"), {"text": "x" * 5_000_000})
        real = backup.copy

        def filled(source: Path, target: Path, **options: object) -> None:
            disk.fill(leave_bytes=1_000_000)
            real(source, target)

        monkeypatch.setattr(backup, "copy", filled)
        with pytest.raises(DatabaseUnavailable, match="disk is full"):
            backups.make(machine, disk.path / "backups")
        assert [path.name for path in (disk.path / "backups").iterdir()] == [backups.LOCK_NAME]


def test_the_uploads_are_no_part_of_it(store: Store, directory: Path) -> None:
    upload(content=b"the-bytes-of-a-video")
    assert b"the-bytes-of-a-video" not in backups.make(wiring.machine, directory).path.read_bytes()
