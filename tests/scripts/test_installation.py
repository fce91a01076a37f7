"""A data directory and a database are used by one machine at a time, by whatever names it reaches them."""

from __future__ import annotations

import gc
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.machine.installation import AlreadyRunning, Installation, is_running, is_used_elsewhere

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def first(tmp_path: Path) -> Iterator[Path]:
    """Return the database of a running machine, whose data directory is `one`."""
    database = tmp_path / "one" / "vidprod.sqlite3"
    running = Installation(tmp_path / "one", database)
    yield database
    running.release()


def by_the_same_name(database: Path, _directory: Path) -> Path:
    return database


def by_a_symbolic_link(database: Path, directory: Path) -> Path:
    link = directory / "linked.sqlite3"
    link.symlink_to(database)
    return link


def by_a_hard_link(database: Path, directory: Path) -> Path:
    link = directory / "hard.sqlite3"
    link.hardlink_to(database)
    return link


def by_a_linked_directory(database: Path, directory: Path) -> Path:
    link = directory / "linked"
    link.symlink_to(database.parent)
    return link / database.name


def by_a_relative_path(database: Path, _directory: Path) -> Path:
    return database.parent / ".." / database.parent.name / database.name


def by_a_bind_mount(database: Path, directory: Path) -> Path:
    mounted = directory / "mounted"
    mounted.mkdir(mode=0o700)
    done = subprocess.run(["mount", "--bind", database.parent, mounted], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"this process may not mount: {done.stderr.decode().strip()}")
    return mounted / database.name


@pytest.mark.parametrize(
    "reached",
    [
        by_the_same_name,
        by_a_symbolic_link,
        by_a_hard_link,
        by_a_linked_directory,
        by_a_relative_path,
        by_a_bind_mount,
    ],
)
def test_a_second_machine_on_the_database_is_refused(
    first: Path, tmp_path: Path, reached: Callable[[Path, Path], Path]
) -> None:
    (tmp_path / "two").mkdir(mode=0o700)
    try:
        with pytest.raises(AlreadyRunning, match="with the database"):
            Installation(tmp_path / "two", reached(first, tmp_path / "two"))
    finally:
        subprocess.run(["umount", tmp_path / "two" / "mounted"], capture_output=True, check=False)


def test_a_second_machine_on_the_data_directory_is_refused(first: Path, tmp_path: Path) -> None:
    """Also with a database of its own: both would delete each other's uploads as unknown."""
    with pytest.raises(AlreadyRunning, match="with the data directory"):
        Installation(first.parent, tmp_path / "one" / "other.sqlite3")


def test_a_machine_may_start_once_the_first_one_has_stopped(tmp_path: Path) -> None:
    database = tmp_path / "one" / "vidprod.sqlite3"
    Installation(tmp_path / "one", database).release()
    again = Installation(tmp_path / "two", database)
    assert is_running(tmp_path / "two")
    again.release()


def test_the_lock_survives_garbage_collection_and_hinders_no_use_of_the_database(first: Path, tmp_path: Path) -> None:
    gc.collect()
    with sqlite3.connect(first) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (x)")
    # SQLite's locks hold as well while this process has the other lock.
    connection.execute("BEGIN IMMEDIATE")
    code = f"import sqlite3; sqlite3.connect({str(first)!r}, timeout=0).execute('BEGIN IMMEDIATE')"
    writer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "database is locked" in writer.stderr
    connection.close()
    with pytest.raises(AlreadyRunning):
        Installation(tmp_path / "two", first)


def test_a_command_sees_that_the_database_is_used_elsewhere(first: Path, tmp_path: Path) -> None:
    assert is_used_elsewhere(tmp_path / "two", first)
    assert not is_used_elsewhere(first.parent, first)  # by this installation
    assert not is_used_elsewhere(tmp_path / "two", tmp_path / "missing.sqlite3")


@pytest.mark.parametrize("command", ["scripts.machine.adopt", "scripts.machine.retry"])
def test_a_command_with_another_data_directory_is_refused(first: Path, tmp_path: Path, command: str) -> None:
    (tmp_path / "two").mkdir()
    environ = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path / "two"), "DATABASE_URL": f"sqlite:///{first}"}
    done = subprocess.run(
        [sys.executable, "-m", command], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "another VidProd" in done.stderr) == (1, True)


def test_serve_is_refused_with_the_database_of_another_machine(first: Path, tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path / "two"), "DATABASE_URL": f"sqlite:///{first}"}
    done = subprocess.run(
        [sys.executable, "-m", "scripts.machine.serve"],
        cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode == 2
    assert "already running with the database" in done.stderr
    with sqlite3.connect(first) as connection:  # not migrated either
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
