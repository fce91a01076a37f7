"""The actors' own wiring, on the tests' data directory, emptied before each test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest

from actors import wiring
from actors.flow import tokens
from actors.recovery.lost_found import DIRECTORY_NAMES
from platforms.contract import AuthorizedAccount
from store import Store
from store.tables import metadata
from tests.actors.one_publication import Remote, create_job
from tests.actors.queues import change_machine, change_settings


@pytest.fixture
def store() -> Iterator[Store]:
    wiring.machine.store.migrate()
    with wiring.machine.store.writing() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    wiring.machine.broker.flush_all()
    for name in ("uploads", "jobs", *DIRECTORY_NAMES):
        shutil.rmtree(wiring.machine.settings.data_dir / name, ignore_errors=True)
    yield wiring.machine.store
    wiring.machine.broker.flush_all()


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
