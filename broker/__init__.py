"""A Dramatiq broker on SQLite: durable, instant, without a server. It is independent of the application."""

from broker.broker import SqliteBroker
from broker.contract import MessageBroker, QueueAdministration
from broker.engine.worker_threads import Cancelled, LeaseLost
from broker.errors import (
    BrokerClosed,
    CommitOutcomeUnknown,
    DatabaseReplaced,
    DatabaseUnavailable,
    NotJoined,
    SchemaTooNew,
    ServerUnreachable,
    SessionLost,
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
    "CommitOutcomeUnknown",
    "Counts",
    "DatabaseReplaced",
    "DatabaseUnavailable",
    "DeadLetter",
    "HeldMessage",
    "LeaseLost",
    "LockWaits",
    "MessageBroker",
    "NotJoined",
    "QueueAdministration",
    "QueueStats",
    "SchemaTooNew",
    "ServerUnreachable",
    "SessionLost",
    "SqliteBroker",
    "SqliteRateLimiterBackend",
    "SqliteResultBackend",
    "WaitingMessage",
    "WorkerProcess",
    "WriteLock",
    "WriteLockTimeout",
]
