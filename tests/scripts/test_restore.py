"""scripts/backup and scripts/restore, as an operator runs them."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker import SqliteBroker
from scripts.machine.installation import Installation
from store import Sealer, Store, accounts, backup, jobs, publications, segments, sessions
from store.accounts import Account
from store.sqlite import SqliteStore
from store.states import JobStatus, PublicationStatus, SegmentStatus
from tests.store.rows import account, job, publication, segment

ROOT = Path(__file__).resolve().parents[2]
KEY = "the-secret-key-of-the-tests"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return the data directory of a stopped machine: one post waits, one has begun, one is over."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    with Opened(data) as store, store.writing(scope="everything") as connection:
        tokens = Sealer(KEY).seal({"access_token": "secret"})
        owner = account()
        accounts.connect(connection, Account(**{**owner.__dict__, "tokens": tokens}))
        for name, status, post in (
            ("job-waits", JobStatus.PUBLISHING, PublicationStatus.WAITING),
            ("job-begun", JobStatus.PUBLISHING, PublicationStatus.PUBLISHING),
            ("job-over", JobStatus.COMPLETED, PublicationStatus.PUBLISHED),
            ("job-failed", JobStatus.FAILED, PublicationStatus.FAILED),
        ):
            jobs.create(connection, job(name, status=status, parts=1))
            part = segment(1, job_id=name, status=SegmentStatus.READY)
            segments.create(connection, [part])
            publications.create(connection, [publication(part, owner, status=post)])
        sessions.create(connection, "key", datetime.now(UTC))
    return data


class Opened:
    """The store of a data directory, with its tables, closed at the end."""

    def __init__(self, data: Path) -> None:
        self._broker = SqliteBroker(data / "vidprod.sqlite3")
        self.store = SqliteStore(
            data / "vidprod.sqlite3", write_lock=self._broker.write_lock, joining=self._broker.joining
        )

    def __enter__(self) -> Store:
        self.store.migrate()
        return self.store

    def __exit__(self, *_: object) -> None:
        self._broker.close()
        self.store.close()


@pytest.fixture
def run(data: Path, tmp_path: Path) -> Run:
    """Return what runs a command of the machine."""

    def run(command: str, *arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
        known = {"PATH": os.environ["PATH"], "DATA_DIR": str(data), "SECRET_KEY": KEY, "STARTED_IN": str(tmp_path)}
        return subprocess.run(
            [sys.executable, "-m", f"scripts.machine.{command}", *map(str, arguments)],
            cwd=ROOT, env=known | environ, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    return run


def rows(data: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(data / "vidprod.sqlite3")
    found = connection.execute(query).fetchall()
    connection.close()
    return found


POSTS = "SELECT job_id, status, code FROM publications ORDER BY job_id"
WRITTEN_SINCE = "UPDATE jobs SET title = 'written since the backup'"


def write_since(data: Path) -> None:
    connection = sqlite3.connect(data / "vidprod.sqlite3")
    with connection:
        connection.execute(WRITTEN_SINCE)
    connection.close()


def test_a_backup_is_restored_and_nothing_of_it_is_published_by_itself(data: Path, run: Run, tmp_path: Path) -> None:
    made = run("backup", "mine.sqlite3")
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith(str(tmp_path / "mine.sqlite3"))
    assert "Keep SECRET_KEY as well" in made.stderr
    write_since(data)

    done = run("restore", "mine.sqlite3")

    assert done.returncode == 0, done.stderr
    assert "since parts may have been published: 2" in done.stdout
    assert "what became of them: 1" in done.stdout
    assert rows(data, "SELECT DISTINCT title FROM jobs") == [("A talk",)]
    assert rows(data, POSTS) == [
        ("job-begun", "outcome_unknown", "database_older"),
        ("job-failed", "failed", None),
        ("job-over", "published", None),
        ("job-waits", "waiting", None),
    ]
    assert rows(data, "SELECT id, status, review_reasons, approved_at FROM jobs ORDER BY id") == [
        ("job-begun", "publishing", '["restored"]', None),
        ("job-failed", "failed", '["restored"]', None),  # a retry asks, too
        ("job-over", "completed", None, None),
        ("job-waits", "review", '["restored"]', None),
    ]
    assert rows(data, "SELECT count(*) FROM sessions") == [(0,)]
    assert rows(data, "SELECT type FROM events ORDER BY rowid") == [
        ("job.review_needed",), ("publication.outcome_unknown",)
    ]  # fmt: skip


def test_nothing_waits_or_starts_before_the_approval(data: Path, run: Run) -> None:
    from store import publication_queue  # noqa: PLC0415

    assert run("backup").returncode == 0
    [made] = (data / "backups").glob("vidprod-*.sqlite3")
    assert run("restore", made).returncode == 0
    with Opened(data) as store, store.reading() as connection:
        assert list(publication_queue.next_in_order(connection, "tiktok-1")) == []


def test_a_planned_move_holds_nothing(data: Path, run: Run) -> None:
    before = rows(data, POSTS)
    assert run("backup", "moved.sqlite3").returncode == 0
    done = run("restore", "moved.sqlite3", "--nothing-published-since")
    assert done.returncode == 0, done.stderr
    assert rows(data, POSTS) == before


def test_the_previous_database_is_kept_whole(data: Path, run: Run) -> None:
    run("backup", "mine.sqlite3")
    write_since(data)
    run("restore", "mine.sqlite3")
    [kept] = data.glob("vidprod.sqlite3.before-restore-*")
    connection = sqlite3.connect(kept)
    assert connection.execute("SELECT DISTINCT title FROM jobs").fetchall() == [("written since the backup",)]
    connection.close()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert [path.name for path in data.glob("*restoring*")] == []


def test_a_log_that_a_killed_machine_has_left_is_not_lost(data: Path, run: Run, tmp_path: Path) -> None:
    """It must neither be applied to the restored database, nor be missing beside the previous one."""
    run("backup", "mine.sqlite3")
    code = (
        f"import os, signal, sqlite3; c = sqlite3.connect({str(data / 'vidprod.sqlite3')!r}); "
        f"c.execute({WRITTEN_SINCE!r}); c.commit(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert (data / "vidprod.sqlite3-wal").stat().st_size > 0
    assert run("restore", "mine.sqlite3").returncode == 0
    assert rows(data, "SELECT DISTINCT title FROM jobs") == [("A talk",)]
    [kept] = data.glob("vidprod.sqlite3.before-restore-*")
    connection = sqlite3.connect(kept)
    assert connection.execute("SELECT DISTINCT title FROM jobs").fetchall() == [("written since the backup",)]
    connection.close()


def test_a_damaged_database_is_replaced(data: Path, run: Run) -> None:
    run("backup", "mine.sqlite3")
    (data / "vidprod.sqlite3").write_bytes(os.urandom(50_000))
    assert run("restore", "mine.sqlite3").returncode == 0
    assert backup.damage(data / "vidprod.sqlite3", thorough=True) is None
    assert len(list(data.glob("vidprod.sqlite3.before-restore-*"))) == 1


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_a_log_of_a_deleted_database_is_not_applied(data: Path, run: Run, tmp_path: Path, suffix: str) -> None:
    """Somebody has deleted the database, and not its log."""
    run("backup", "mine.sqlite3")
    leave_log(data / "vidprod.sqlite3", tmp_path / "log", suffix)
    for path in data.glob("vidprod.sqlite3*"):
        if path.is_file():
            path.unlink()
    (tmp_path / "log").rename(data / f"vidprod.sqlite3{suffix}")
    assert run("restore", "mine.sqlite3").returncode == 0
    assert rows(data, "SELECT DISTINCT title FROM jobs") == [("A talk",)]
    assert backup.damage(data / "vidprod.sqlite3", thorough=True) is None
    assert (data / f"vidprod.sqlite3{suffix}.before-restore").exists()


def leave_log(database: Path, target: Path, suffix: str) -> None:
    """Copy the log of a change that was never written into the database, in one of SQLite's two ways."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute(f"PRAGMA journal_mode = {'WAL' if suffix == '-wal' else 'DELETE'}")
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("BEGIN")
    connection.execute(WRITTEN_SINCE)
    connection.execute("UPDATE publications SET reason = hex(zeroblob(20000))")
    if suffix == "-wal":
        connection.execute("COMMIT")
    target.write_bytes(database.with_name(database.name + suffix).read_bytes())
    assert target.stat().st_size > 0
    connection.close()


def test_a_running_machine_is_not_restored(data: Path, run: Run) -> None:
    run("backup", "mine.sqlite3")
    before = (data / "vidprod.sqlite3").read_bytes()
    running = Installation(data, data / "vidprod.sqlite3")
    try:
        done = run("restore", "mine.sqlite3")
    finally:
        running.release()
    assert (done.returncode, "already running" in done.stderr) == (1, True)
    assert (data / "vidprod.sqlite3").read_bytes() == before


def damaged(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096 * 5)
        file.write(os.urandom(4096 * 10))


def another_program(path: Path) -> None:
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE moz_places (url)")
    connection.close()


def newer_version(path: Path) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE store_version SET version_num = '9999'")
    connection.close()


def directory(backup: Path) -> None:
    backup.unlink()
    backup.mkdir()


UNUSABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "damaged": (damaged, "damaged"),
    "cut off": (lambda path: os.truncate(path, 20_000), "damaged"),
    "empty": (lambda path: os.truncate(path, 0), "none of VidProd"),
    "another program's": (another_program, "none of VidProd"),
    "no database": (lambda path: path.write_text("hello"), "not a SQLite database"),
    "of a newer version": (newer_version, "newer version"),
    "missing": (lambda path: path.unlink(), "No such file"),
    "a directory": (directory, "not restored: Is a directory"),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_what_is_no_usable_backup_changes_nothing(data: Path, run: Run, tmp_path: Path, kind: str) -> None:
    spoil, reason = UNUSABLE[kind]
    run("backup", "mine.sqlite3")
    spoil(tmp_path / "mine.sqlite3")
    write_since(data)
    done = run("restore", "mine.sqlite3")
    assert done.returncode == 1
    assert done.stderr.startswith("not restored: ")
    assert reason in done.stderr
    assert rows(data, "SELECT DISTINCT title FROM jobs") == [("written since the backup",)]
    assert list(data.glob("*restor*")) == []


def test_a_backup_of_another_key_is_refused_unless_the_key_is_lost(data: Path, run: Run) -> None:
    run("backup", "mine.sqlite3")
    write_since(data)
    refused = run("restore", "mine.sqlite3", SECRET_KEY="another-secret-key")
    assert refused.returncode == 1
    assert "tiktok '@tiktok-1'" in refused.stderr
    assert rows(data, "SELECT DISTINCT title FROM jobs") == [("written since the backup",)]
    assert run("restore", "mine.sqlite3", "--new-key", SECRET_KEY="another-secret-key").returncode == 0
    assert rows(data, "SELECT DISTINCT title FROM jobs") == [("A talk",)]


def test_a_new_computer_is_told_that_its_key_is_missing(data: Path, run: Run, tmp_path: Path) -> None:
    run("backup", "mine.sqlite3")
    new = tmp_path / "new"
    new.mkdir(mode=0o700)
    refused = run("restore", "mine.sqlite3", DATA_DIR=str(new), SECRET_KEY="")
    assert (refused.returncode, "there is no SECRET_KEY" in refused.stderr) == (1, True)
    assert list(new.iterdir()) == []  # above all no new key
    assert run("restore", "mine.sqlite3", DATA_DIR=str(new)).returncode == 0
    assert rows(new, POSTS)[-1] == ("job-waits", "waiting", None)


def test_a_restore_that_was_killed_is_repeated(data: Path, run: Run) -> None:
    run("backup", "mine.sqlite3")
    for name in ("restoring", "restoring-wal", "restoring-shm"):
        (data / f"vidprod.sqlite3.{name}").write_bytes(b"left behind")
    assert run("restore", "mine.sqlite3").returncode == 0
    assert list(data.glob("*restoring*")) == []


def test_a_copy_with_its_log_is_restored_with_it(data: Path, run: Run, tmp_path: Path) -> None:
    """Somebody has copied all files of a computer whose power had failed."""
    code = (
        f"import os, signal, sqlite3; c = sqlite3.connect({str(data / 'vidprod.sqlite3')!r}); "
        f"c.execute({WRITTEN_SINCE!r}); c.commit(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    for suffix in ("", "-wal"):
        (tmp_path / f"copy{suffix}").write_bytes((data / f"vidprod.sqlite3{suffix}").read_bytes())
    assert run("restore", "copy").returncode == 0
    assert rows(data, "SELECT DISTINCT title FROM jobs") == [("written since the backup",)]


def test_a_second_backup_of_the_same_name_is_refused(run: Run, tmp_path: Path) -> None:
    assert run("backup", "mine.sqlite3").returncode == 0
    again = run("backup", "mine.sqlite3")
    assert (again.returncode, "exists; a backup overwrites nothing" in again.stderr) == (1, True)


def test_a_directory_gets_a_name_by_its_time_and_is_rotated(run: Run, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for number in range(3):
        (tmp_path / "there" / f"vidprod-2026010{number + 1}T000000Z.sqlite3").write_bytes(b"old")
    assert run("backup", "there", BACKUP_KEEP="2").returncode == 0
    left = sorted(path.name for path in (tmp_path / "there").glob("vidprod-*"))
    assert left[0] == "vidprod-20260103T000000Z.sqlite3"
    assert len(left) == 2
