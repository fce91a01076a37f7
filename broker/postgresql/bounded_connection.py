"""A connection to a PostgreSQL server that notices within a bounded time that the server is gone.

The kernel ends a connection whose other side has vanished. It cannot know of a server that is frozen, or of a proxy
that has lost it: those confirm what is sent, and never answer. So each wait for an answer has a limit as well.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict

__all__ = ["ANSWER_TIMEOUT_S", "BoundedConnection", "connect"]

ANSWER_TIMEOUT_S = 45.0  # longer than the broker lets the server work on a statement

_PARAMETERS: dict[str, str | int] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    # A standby refuses to be written, and may be behind. Of several hosts in a URL the primary is taken.
    "target_session_attrs": "read-write",
}
"""Defaults of libpq's parameters; those that a URL names win. A peer that has vanished is noticed after 11 seconds."""

T = TypeVar("T")
_Steps = Generator[Any, Any, T]  # Any: psycopg's own, what it waits for and what is ready


class BoundedConnection(psycopg.Connection[Any]):  # Any: rows, as the statement describes them
    """A connection that closes when the server has not answered for `answer_timeout_s`."""

    answer_timeout_s: float | None = None  # None: `ANSWER_TIMEOUT_S`

    def wait(self, gen: _Steps[T], *args: Any, **kwargs: Any) -> T:  # Any: as of psycopg, by version
        """Wait until an exchange with the server is complete.

        Raises:
            psycopg.OperationalError: the server did not answer in time; the connection is closed.
        """
        return super().wait(self._limited(gen), *args, **kwargs)

    def _limited(self, exchange: _Steps[T]) -> _Steps[T]:
        """Carry an exchange out; psycopg asks for its next step ten times a second, also when nothing is ready."""
        timeout_s = ANSWER_TIMEOUT_S if self.answer_timeout_s is None else self.answer_timeout_s
        end_s = time.monotonic() + timeout_s
        try:
            wanted = next(exchange)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > end_s:
                    break
                wanted = exchange.send(ready)
        except StopIteration as ended:
            result: T = ended.value
            return result
        self.pgconn.finish()
        raise psycopg.OperationalError(f"the server has not answered for {timeout_s:g} s")


def connect(
    conninfo: str = "",
    *,
    answer_timeout_s: float | None = None,
    **options: Any,  # Any: as psycopg takes them
) -> BoundedConnection:
    """Return a new connection.

    Args:
        conninfo: postgresql://…, or libpq's list of parameters.
        answer_timeout_s: None for `ANSWER_TIMEOUT_S`; `math.inf` for statements that may take hours.
        options: parameters of libpq, and the arguments of `psycopg.Connection.connect`.

    Raises:
        psycopg.Error: there is no server, or it refuses.
    """
    named = conninfo_to_dict(conninfo)
    defaults = {name: value for name, value in _PARAMETERS.items() if name not in named}
    connection = BoundedConnection.connect(conninfo, **defaults | options)
    connection.answer_timeout_s = answer_timeout_s
    return connection
