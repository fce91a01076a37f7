"""The actors' own wiring, on the tests' data directory, emptied before each test.

Tests of modules that set ON_EVERY_ENGINE run on SQLite and on PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from actors import wiring
from actors.flow import tokens
from platforms.contract import AuthorizedAccount
from store import Store
from tests.actors.one_publication import Remote, create_job
from tests.actors.queues import change_machine, change_settings
from tests.postgresql_server import PostgresqlServer
from tests.support.machine_database import empty_machine
from tests.support.postgresql_machine import database_url, machine_on, make_template


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" in metafunc.fixturenames and not metafunc.definition.get_closest_marker("sqlite_only"):
        if getattr(metafunc.module, "ON_EVERY_ENGINE", False):
            metafunc.parametrize("engine", ["sqlite", "postgresql"], indirect=True)
        elif getattr(metafunc.module, "ON_POSTGRESQL", False):
            metafunc.parametrize("engine", ["postgresql"], indirect=True)


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> str:
    """Return the kind of the test's database; `pytest_generate_tests` chooses it."""
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture(scope="session")
def template(postgresql_server: PostgresqlServer) -> str:
    return make_template(postgresql_server)


@pytest.fixture
def database_name(postgresql_server: PostgresqlServer, template: str) -> Iterator[str]:
    """Return the name of a new database on the server."""
    name = postgresql_server.create_database(template)
    yield name
    postgresql_server.drop_database(name)


@pytest.fixture
def store(engine: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    empty_machine()
    if engine == "sqlite":
        yield wiring.machine.store
        wiring.machine.broker.flush_all()
        return
    name = request.getfixturevalue("database_name")
    url = database_url(request.getfixturevalue("postgresql_server"), name)
    with machine_on(url, monkeypatch) as machine:
        yield machine.store


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

    with store.writing(scope="everything") as connection:
        create_job(connection)
    return install
