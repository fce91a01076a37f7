"""A Dramatiq broker on SQLite: durable, instant, without a server. It is independent of the application."""

from broker.broker import SqliteBroker
from broker.engine.worker_threads import Cancelled
from broker.errors import (
    BrokerClosed,
    DatabaseReplaced,
    DatabaseUnavailable,
    NotJoined,
    SchemaTooNew,
    WriteLockTimeout,
)
from broker.rate_limits import SqliteRateLimiterBackend
from broker.results import SqliteResultBackend
from broker.storage.dead_letters import DeadLetter
from broker.storage.inspection import Counts, HeldMessage, QueueStats, WaitingMessage, WorkerProcess
from broker.storage.lock_waits import LockWaits
from broker.storage.write_lock import WriteLock

__all__ = [
    "BrokerClosed",
    "Cancelled",
    "Counts",
    "DatabaseReplaced",
    "DatabaseUnavailable",
    "DeadLetter",
    "HeldMessage",
    "LockWaits",
    "NotJoined",
    "QueueStats",
    "SchemaTooNew",
    "SqliteBroker",
    "SqliteRateLimiterBackend",
    "SqliteResultBackend",
    "WaitingMessage",
    "WorkerProcess",
    "WriteLock",
    "WriteLockTimeout",
]
