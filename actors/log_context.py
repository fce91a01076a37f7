"""The ids in each log line: of the message that an actor handles and its job, or of the request.

Each thread has its own. A thread that is started by another one begins without ids.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import dramatiq
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from actors.database_check import DATABASE_ERRORS
from store import Store, references
from store.references import Reference

if TYPE_CHECKING:
    from loguru import Record

_LOOK_UPS: dict[str, Callable[[Connection, str], Reference]] = {  # by the name of an actor's parameter
    "segment_id": references.of_segment,
    "publication_id": references.of_publication,
    "account_id": references.of_account,
}


_ids: ContextVar[Mapping[str, str | int]] = ContextVar("ids of the log", default=MappingProxyType({}))


def begin(**ids: str | int) -> None:
    """Add these ids to each line that this thread logs until `end`, and no earlier ones."""
    _ids.set(ids)


def end() -> None:
    """Add no ids from here on."""
    _ids.set(MappingProxyType({}))


def ids() -> Mapping[str, str | int]:
    """Return the ids of the present context."""
    return _ids.get()


def add_ids(record: Record) -> None:
    """Add the ids of the present context to a record; loguru's patcher."""
    record["extra"].update({name: value for name, value in _ids.get().items() if name not in record["extra"]})


class LogContext(dramatiq.Middleware):
    """Dramatiq middleware that adds message_id, actor, job_id, part, platform and the like to the log.

    An actor's parameters with names in "_id" are ids. The job, part, platform and account to which they belong are
    read from the store, once for each message, whether it logs or not. It is the first middleware: dramatiq calls the
    others, which log retries and failures, between its two calls.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def before_process_message(self, broker: dramatiq.Broker, message: Any) -> None:  # Any: as in dramatiq
        """Begin the context of a message."""
        ids = _ids_of(broker, message)
        begin(message_id=message.message_id, actor=message.actor_name, **ids, **self._look_up(ids))

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: Any,  # Any: as in dramatiq
        *,
        result: Any = None,  # Any: as in dramatiq
        exception: BaseException | None = None,
    ) -> None:
        """End the context."""
        del broker, message, result, exception
        end()

    def after_skip_message(self, broker: dramatiq.Broker, message: Any) -> None:  # Any: as in dramatiq
        """End the context of a message that no actor handles."""
        del broker, message
        end()

    def _look_up(self, ids: dict[str, str]) -> Reference:
        found = next((name for name in _LOOK_UPS if name in ids), None)
        if found is None:
            return {}
        try:
            with self._store.reading() as connection:
                return _LOOK_UPS[found](connection, ids[found])
        except (*DATABASE_ERRORS, SQLAlchemyError):
            return {}  # the actor will meet the same error, and log it


def _ids_of(broker: dramatiq.Broker, message: Any) -> dict[str, str]:  # Any: as in dramatiq
    try:
        names = _parameters(broker.get_actor(message.actor_name).fn)
    except dramatiq.errors.ActorNotFound:
        return {}  # dramatiq will fail the message
    given = dict(zip(names, message.args, strict=False)) | dict(message.kwargs)
    return {name: str(value) for name, value in given.items() if name.endswith("_id")}


@lru_cache(maxsize=64)
def _parameters(function: Callable[..., object]) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)
