"""A Dramatiq broker on SQLite: durable, instant, without a server. It knows nothing of the application that uses it."""

from broker.broker import SqliteBroker
from broker.dead_letters import DeadLetter
from broker.errors import BrokerClosed, DatabaseReplaced, DatabaseUnavailable, NotJoined, QueueFull, SchemaTooNew
from broker.gate import WriteGate
from broker.looking import HeldMessage, WaitingMessage
from broker.rate_limits import SqliteRateLimiterBackend
from broker.report import QueueStats, WorkerProcess
from broker.results import SqliteResultBackend
from broker.running import Cancelled
from broker.tally import Counts

__all__ = [
    "BrokerClosed",
    "Cancelled",
    "Counts",
    "DatabaseReplaced",
    "DatabaseUnavailable",
    "DeadLetter",
    "HeldMessage",
    "NotJoined",
    "QueueFull",
    "QueueStats",
    "SchemaTooNew",
    "SqliteBroker",
    "SqliteRateLimiterBackend",
    "SqliteResultBackend",
    "WaitingMessage",
    "WorkerProcess",
    "WriteGate",
]
