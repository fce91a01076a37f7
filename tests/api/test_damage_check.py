"""The check for damage returns at once, also for a large file, and finds its damage in the background."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from actors import wiring
from api import damage_check
from api.context import Context
from api.damage_check import DamageCheck
from broker import WriteLock
from store import DatabaseUnavailable
from store.sqlite import SqliteStore
from tests.support.waiting import wait_for

pytestmark = pytest.mark.sqlite_only("a server checks its own files")


class _BlockedStore(SqliteStore):
    """A store whose check blocks until a file exists, and counts the checks."""

    checks = 0

    def damage(self, within_s: float = 60.0) -> str | None:
        wait_for((self.path.parent / "released").exists, "the release of the check")
        self.checks += 1
        return super().damage(within_s)


@pytest.fixture
def large(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_BlockedStore]:
    """Return a store whose file counts as a large one."""
    monkeypatch.setattr(damage_check, "SMALL_BYTES", 4096)
    path = tmp_path / "large.sqlite3"
    with context.store.reading() as connection:
        # SQLite copies: to open and close the file elsewhere in this process would drop the locks of its connections.
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("VACUUM INTO ?", (str(path),))
        connection.exec_driver_sql("BEGIN")
    store = _BlockedStore(path, write_lock=WriteLock(path), joining=wiring.machine.broker.joining)
    yield store
    (tmp_path / "released").touch()
    store.close()


def _damage(path: Path) -> None:
    with path.open("r+b") as file:
        for at in range(8192, path.stat().st_size - 4096, 4096):
            file.seek(at)
            file.write(os.urandom(512))


def _is_damaged(check: DamageCheck) -> bool:
    """Return whether the check reports damage, or that it cannot read the file because of it."""
    try:
        return check.result() is not None
    except DatabaseUnavailable as error:
        return "damaged" in str(error)


def _settled(check: DamageCheck, large: _BlockedStore, checks: int) -> Callable[[], bool]:
    """Return whether a number of checks have ended, for `wait_for`."""
    return lambda: large.checks == checks and check._thread is not None and not check._thread.is_alive()


def test_a_large_file_is_checked_in_the_background(large: _BlockedStore) -> None:
    _damage(large.path)
    check = DamageCheck(large)
    assert check.result() is None
    assert (check.result(), large.checks) == (None, 0)  # without waiting for the check that runs
    (large.path.parent / "released").touch()
    wait_for(_settled(check, large, 1), "the check to end")
    assert _is_damaged(check)


def test_a_large_file_that_has_changed_is_checked_again_only_after_a_pause(
    large: _BlockedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(damage_check, "PAUSE_FACTOR", 1e9)
    (large.path.parent / "released").touch()
    check = DamageCheck(large)
    assert check.result() is None
    wait_for(_settled(check, large, 1), "the check to end")
    _damage(large.path)
    assert check.result() is None
    assert _settled(check, large, 1)()


def test_a_large_file_that_is_no_longer_readable_raises(large: _BlockedStore) -> None:
    (large.path.parent / "released").touch()
    large.path.write_bytes(b"no database" * 2000)
    check = DamageCheck(large)
    with suppress(DatabaseUnavailable):  # the check may have ended before this call has
        check.result()
    wait_for(_settled(check, large, 1), "the check to end")
    with pytest.raises(DatabaseUnavailable):
        check.result()


def test_a_small_file_is_checked_in_the_call(large: _BlockedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(damage_check, "SMALL_BYTES", 2**30)
    (large.path.parent / "released").touch()
    check = DamageCheck(large)
    assert check.result() is None
    _damage(large.path)
    assert _is_damaged(check)
