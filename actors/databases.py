"""Opens store and broker of the database that the settings name: a SQLite file, or a PostgreSQL server.

Both are on the same database, so that `store.writing()` commits a change of state with the messages that follow from
it. The code of PostgreSQL is imported only if the settings name a server: psycopg takes 8 MB of memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dramatiq

import redaction
from broker import MessageBroker, SqliteBroker
from settings import Settings
from store import Store
from store.sqlite import SqliteStore

if TYPE_CHECKING:
    from broker.relay import Relay


@dataclass(frozen=True)
class Hooks:
    """The functions of a process that store and broker call.

    Attributes:
        before_write: before each transaction that writes to a file; it must be quick and raise nothing.
        waits_again: returns whether the calling thread waits once more for a lock or a server.
        on_lease_lost: with the ids of running messages that this process can no longer answer for; as of the broker.
    """

    before_write: Callable[[], None] = lambda: None
    waits_again: Callable[[], bool] = lambda: False
    on_lease_lost: Callable[[list[str]], None] = lambda _: None


def open_broker(
    settings: Settings, middleware: list[dramatiq.Middleware] | None = None, hooks: Hooks | None = None
) -> MessageBroker:
    """Return the broker. Nothing is opened before its first use."""
    hooks = hooks or Hooks()
    common: dict[str, Any] = {  # Any: arguments of several types
        "middleware": middleware,
        "poll_interval_s": settings.queue_poll_interval,
        "redact": redaction.redact,
    }
    path = settings.database_path
    if path is not None:
        # A new file in place of the database would lack the store's tables.
        return SqliteBroker(path.resolve(), if_replaced="refuse", before_write=hooks.before_write, **common)
    common |= {
        "listen_url": settings.broker_listen_url.get_secret_value() or None,
        "lease_s": settings.lease_seconds,
        "on_lease_lost": hooks.on_lease_lost,
    }
    if settings.transport_url is not None:
        from broker.relay import RelayedBroker  # noqa: PLC0415 (see above)

        return RelayedBroker(settings.postgresql_url, settings.transport_url, **common)
    from broker.postgresql import PostgresqlBroker  # noqa: PLC0415 (see above)

    return PostgresqlBroker(settings.postgresql_url, **common)


def open_relay(settings: Settings) -> Relay:
    """Return the relay of a machine with a transport. Nothing is opened before its start."""
    from broker.relay import Relay  # noqa: PLC0415 (see above)

    assert settings.transport_url is not None
    return Relay(
        settings.postgresql_url,
        settings.transport_url,
        listen_url=settings.broker_listen_url.get_secret_value() or None,
        poll_interval_s=settings.queue_poll_interval,
    )


def open_store(settings: Settings, broker: MessageBroker, hooks: Hooks | None = None) -> Store:
    """Return the store beside a broker. Nothing is opened before its first use."""
    hooks = hooks or Hooks()
    path = settings.database_path
    if path is not None and broker.write_lock is not None:
        return SqliteStore(
            path.resolve(),
            write_lock=broker.write_lock,
            joining=broker.joining,
            before_write=hooks.before_write,
            waits_again=hooks.waits_again,
        )
    from broker.postgresql import connect  # noqa: PLC0415 (see above)
    from store.postgresql import PostgresqlStore  # noqa: PLC0415 (see above)

    return PostgresqlStore(
        settings.postgresql_url,
        connect=connect,
        joining=broker.joining,
        waits_again=hooks.waits_again,
        pool_size=settings.database_pool,
    )
