"""The actors' own wiring, on the tests' data directory, emptied before each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from actors import wiring
from actors.flow import tokens
from platforms.contract import AuthorizedAccount
from store import Store
from tests.actors.one_publication import Remote, create_job
from tests.actors.queues import change_machine, change_settings
from tests.support.machine_database import empty_machine


@pytest.fixture
def store() -> Iterator[Store]:
    empty_machine()
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
