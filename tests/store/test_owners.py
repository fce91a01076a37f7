"""The migration to owners: what was there before belongs to the default one, and stays connected."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from broker import WriteLock
from broker.postgresql import connect
from store import Store, webhooks
from store.owners import DEFAULT_OWNER
from store.postgresql import PostgresqlStore
from store.sqlite import SqliteStore
from tests.postgresql_server import PostgresqlServer
from tests.store.conftest import store_url

BEFORE = (
    (
        "INSERT INTO jobs (id, status, video_path, created_at, gaze_intensity, segment_seconds)"
        " VALUES ('job', 'pending', 'uploads/job/source', '2026-11-22 12:00:00.000000', 0.8, 60)"
    ),
    (
        "INSERT INTO endpoints (id, url, scope, events, state, secret, created_at, failures)"
        " VALUES ('ep', 'https://hooks.example.com', 'all', '[]', 'enabled', '', '2026-11-22 12:00:00.000000', 3)"
    ),
    (
        "INSERT INTO events (id, type, job_id, body, created_at)"
        " VALUES ('msg', 'job.created', 'job', '{}', '2026-11-22 12:00:00.000000')"
    ),
    "INSERT INTO deliveries (id, event_id, endpoint_id, status) VALUES ('del', 'msg', 'ep', 'waiting')",
    (
        "INSERT INTO schedules (platform, time_zone, windows, max_per_day, min_gap_s)"
        " VALUES ('tiktok', 'UTC', '[]', 7, 60.0)"
    ),
)


@pytest.fixture(params=["sqlite", "postgresql"])
def updated(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Return a store of each engine with rows from before there were owners."""
    made: Store
    if request.param == "sqlite":
        path = tmp_path / "store.sqlite3"
        made = SqliteStore(path, write_lock=WriteLock(path), joining=lambda _: nullcontext())
    else:
        server: PostgresqlServer = request.getfixturevalue("server")
        made = PostgresqlStore(
            store_url(server, server.create_database()), connect=connect, joining=lambda _: nullcontext()
        )
    upgrade = command.upgrade
    with monkeypatch.context() as patch:
        patch.setattr(command, "upgrade", lambda config, _: upgrade(config, "0023"))
        made.migrate()
    with made.writing(scope="everything") as opened:
        for statement in BEFORE:
            opened.execute(text(statement))
    made.migrate()
    yield made
    made.close()


def test_rows_from_before_belong_to_the_default_owner(updated: Store) -> None:
    with updated.reading() as opened:
        for table in ("jobs", "endpoints", "events", "schedules"):
            assert _owners(opened, table) == [DEFAULT_OWNER], table
        found = webhooks.get_delivery(opened, "del")
    assert found is not None
    assert (found[1].id, found[2].url, found[2].failures) == ("msg", "https://hooks.example.com", 3)


def test_rows_still_refer_to_an_endpoint_that_was_made_anew(updated: Store) -> None:
    with pytest.raises(IntegrityError), updated.writing(scope="everything") as opened:
        opened.execute(text("DELETE FROM endpoints"))
    with updated.writing(scope="everything") as opened:
        assert webhooks.remove_endpoint(opened, "ep")


def test_two_owners_may_have_the_same_address_and_schedules(updated: Store) -> None:
    other = "INSERT INTO {0} ({1}, owner_id) SELECT {1}, 'ann' FROM {0}"
    with updated.writing(scope="everything") as opened:
        opened.execute(text(other.format("schedules", "platform, time_zone, windows, max_per_day, min_gap_s")))
        columns = "url, scope, events, state, secret, created_at"
        opened.execute(
            text(other.format("endpoints", columns).replace("(url", "(id, url").replace("SELECT", "SELECT 'ep2',"))
        )
        assert [_owners(opened, table) for table in ("endpoints", "schedules")] == 2 * [[DEFAULT_OWNER, "ann"]]
    with pytest.raises(IntegrityError), updated.writing(scope="everything") as opened:
        opened.execute(text("UPDATE endpoints SET owner_id = 'ann'"))


def test_statements_of_older_processes_are_still_valid(updated: Store) -> None:
    """They run on until they are restarted, and know no owners."""
    with updated.writing(scope="everything") as opened:
        opened.execute(text("DELETE FROM schedules WHERE platform = 'tiktok'"))
        opened.execute(text(BEFORE[4]))
        opened.execute(text(BEFORE[0].replace("'job'", "'job2'")))
        assert _owners(opened, "jobs") == [DEFAULT_OWNER, DEFAULT_OWNER]


def _owners(opened: Connection, table: str) -> list[str]:
    return list(opened.scalars(text(f"SELECT owner_id FROM {table} ORDER BY owner_id DESC")))  # noqa: S608 (constants)
