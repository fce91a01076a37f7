"""The machine of this process on a PostgreSQL database of its own, for tests that run on every engine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import dramatiq
import pytest

from actors import wiring
from actors.machine import Machine
from tests.postgresql_server import PostgresqlServer

__all__ = ["database_url", "machine_on", "make_template"]

SECRETS = {"SECRET_KEY": "secret-of-the-tests-machines", "API_KEYS": "test-key-of-tests"}


def database_url(server: PostgresqlServer, database: str) -> str:
    """Return the value of DATABASE_URL for a database of a server."""
    return server.url(database).replace("postgresql://", "postgresql+psycopg://")


def make_template(server: PostgresqlServer) -> str:
    """Return the name of a database with the tables of store and broker, of which tests take copies."""
    name = server.create_database()
    machine = _build(database_url(server, name))
    machine.store.migrate()
    machine.broker.admin.queue_stats()  # makes the tables of the broker
    _close(machine)
    return name


@contextmanager
def machine_on(url: str, monkeypatch: pytest.MonkeyPatch, data_dir: Path | None = None) -> Iterator[Machine]:
    """Let the actors of this process work on a database in a block; those that are periodic cannot be sent there.

    Args:
        url: of the database.
        monkeypatch: undoes it.
        data_dir: of the machine; None is that of all tests.
    """
    machine = _build(url, {} if data_dir is None else {"DATA_DIR": str(data_dir)})
    for actor in wiring.machine.broker.actors.values():
        if "periodic" not in actor.options:
            dramatiq.Actor(
                actor.fn,
                broker=machine.broker,
                actor_name=actor.actor_name,
                queue_name=actor.queue_name,
                priority=actor.priority,
                options=actor.options,
            )
    monkeypatch.setattr(wiring, "machine", machine)
    yield machine
    _close(machine)


def _build(url: str, more: Mapping[str, str] = MappingProxyType({})) -> Machine:
    return wiring.build(os.environ | SECRETS | {"DATABASE_URL": url, "LEASE_SECONDS": "10", **more})


def _close(machine: Machine) -> None:
    machine.broker.close()
    machine.store.close()
