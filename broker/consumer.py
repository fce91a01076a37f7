"""Dramatiq's side of a desk: consumers that wait for messages, acknowledge, reject and give back.

Acknowledgements come from any worker thread and through whichever consumer is there at the time; what they mean is in
the message's own claim token, so a consumer keeps no state of its own.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import traceback
from collections.abc import Callable, Iterable
from queue import Empty

from dramatiq import Worker
from dramatiq.broker import Consumer, MessageProxy
from dramatiq.common import iter_queue
from dramatiq.errors import BrokerConnectionError, DecodeError
from dramatiq.threading import Interrupt

from broker.engine.batch import Batch, Order
from broker.engine.prefetch import Desk
from broker.engine.writer import Clerk
from broker.errors import BrokerClosed
from broker.storage.encoding import AnyMessage, FollowUps, SqliteMessage, facts, opened
from broker.storage.queue import Claim
from broker.storage.settling import Obituary, is_cancelled

__all__ = ["IdleConsumer", "SqliteConsumer", "give_back_unbegun"]

TRACEBACK_CHARS = 30_000

logger = logging.getLogger(__name__)


class IdleConsumer(Consumer):
    """The consumer of a delay queue: delays are kept in the tables, so nothing ever comes out here."""

    def __init__(self, timeout_ms: int) -> None:
        self._timeout_s = timeout_ms / 1000
        self._closed = threading.Event()

    def __next__(self) -> None:
        self._closed.wait(self._timeout_s)

    def close(self) -> None:
        """Return from waiting."""
        self._closed.set()


class SqliteConsumer(Consumer):
    """The consumer of a queue."""

    def __init__(
        self, clerk: Clerk, desk: Desk, timeout_ms: int, *, sent: Callable[[AnyMessage, int | None], None]
    ) -> None:
        """Stand at a desk; `sent` is told of every message that was stored along with an acknowledgement."""
        self._clerk = clerk
        self._desk = desk
        self._timeout_s = timeout_ms / 1000
        self._sent = sent
        desk.consumers.add(self)

    def __next__(self) -> SqliteMessage | None:
        if self._clerk.closed:
            raise BrokerClosed("the broker was closed; consume again")
        item = self._picked_up()
        if isinstance(item, BaseException):
            raise item
        if item is None:
            return None
        try:
            message = opened(item)
        except DecodeError as error:
            self._bury_unread(item, error)
            return None
        message.abandon = self._clerk.abandon
        return message

    def ack(self, message: MessageProxy) -> None:
        """Delete the message. Not ours, settled before, or given to another process meanwhile: nothing happens.

        If what it was to send could not be sent, it does not count as worked off: it goes to the dead letters with
        that error, or runs again if its end was interrupted.
        """
        if isinstance(message, SqliteMessage) and not self._ran_into_trouble(message):
            self._settle(message, lambda batch: batch.acknowledge(message.held))

    def nack(self, message: MessageProxy) -> None:
        """Move the message to the dead letters, as it is now, with its error. A cancelled one goes without a trace."""
        if isinstance(message, SqliteMessage) and message.cancelled:
            self._settle(message, lambda batch: batch.acknowledge(message.held))
        elif isinstance(message, SqliteMessage) and not self._ran_into_trouble(message):
            self._bury(message)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Give messages back to their old places, in one commit; waiting processes are woken."""
        _give_back(self._clerk, messages)

    def close(self) -> None:
        """Give back what was not picked up. Messages taken earlier can still be settled, here or elsewhere."""
        self._desk.consumers.discard(self)
        if not self._desk.consumers:  # else the consumer of another worker in this process picks it up
            self._clerk.close_desk(self._desk)

    def _picked_up(self) -> Claim | BaseException | None:
        desk = self._desk
        try:
            return desk.inbox.get_nowait()
        except Empty:
            pass
        desk.waiting.add(id(self))
        try:
            if desk.owed:
                desk.owed = False
                self._clerk.nudge()
            return desk.inbox.get(timeout=self._timeout_s)
        except Empty:
            return None
        finally:
            desk.waiting.discard(id(self))

    def _ran_into_trouble(self, message: SqliteMessage) -> bool:
        follow_ups = message.follow_ups
        if follow_ups is None or follow_ups.complete:
            return False
        if follow_ups.failure is not None:
            message.stuff_exception(follow_ups.failure)
            self._bury(message)
        else:
            self._settle(message, lambda batch: self._clerk.return_unsettled(batch, message.held))
        return True

    def _bury(self, message: SqliteMessage) -> None:
        obituary = _obituary(message)
        self._settle(message, lambda batch: batch.bury(message.held, obituary))

    def _settle(self, message: SqliteMessage, end: Callable[[Batch], bool]) -> None:
        """End a claim and store what the message's processing has sent, in one commit."""
        follow_ups = message.follow_ups or FollowUps()

        def work(batch: Batch) -> bool:
            if any(entry.message_id == message.message_id for entry in follow_ups.entries) and is_cancelled(
                batch.connection, message.held
            ):
                follow_ups.drop(message.message_id)
            ours = end(batch)
            if ours and follow_ups.complete:
                batch.store(follow_ups.entries)
            return ours

        try:
            ours = self._ended(message, work)
        except BrokerConnectionError:
            raise
        except Exception as error:
            if not follow_ups.entries or not follow_ups.complete:
                raise
            # A delay beyond all time, say. Dramatiq would only log it, and the message would stay here for good.
            follow_ups.failure = error
            self._ran_into_trouble(message)
            return
        _done_with(message)
        if not ours:
            logger.warning("Message %s was no longer ours.", message.message_id, extra=_facts(message))
        elif follow_ups.complete:
            for follow_up, delay in follow_ups.sent:
                self._sent(follow_up, delay)

    def _ended(self, message: SqliteMessage, work: Callable[[Batch], bool]) -> bool:
        """Have the work done, once; an exception raised into this thread meanwhile is dropped.

        The actor is over, so whatever wanted to interrupt it (a time limit, a shutdown) comes too late; let through it
        would end the worker thread for good and leave the message unsettled.
        """
        while True:
            try:
                if message.settling is None:
                    message.settling = Order(work)
                self._clerk.submit(message.settling)
                return message.settling.wait()
            except Interrupt as late:
                logger.info(
                    "%s came after message %s had ended.",
                    type(late).__name__,
                    message.message_id,
                    extra=_facts(message),
                )
            except BrokerClosed:
                return False  # closing has given back what was held
            except Exception:
                message.settling = None  # dramatiq tries again
                raise

    def _bury_unread(self, held: Claim, error: DecodeError) -> None:
        logger.error(
            "A message on queue %r cannot be decoded; it goes to the dead letters.", held.queue, extra=facts(held)
        )
        obituary = Obituary(f"{type(error).__name__}: {error}: {error.error!r}", None)

        self._clerk.call(lambda batch: batch.bury(held, obituary))


def _give_back(clerk: Clerk, messages: Iterable[MessageProxy]) -> None:
    """Return messages that were never begun to their old places, in one commit, and forget them."""
    ours = [message for message in messages if isinstance(message, SqliteMessage) and message.settling is None]
    if ours:
        with contextlib.suppress(BrokerClosed):  # closing has given back what was held
            clerk.call(lambda batch: batch.give_back([message.held for message in ours]))
    for message in ours:
        _done_with(message)


def give_back_unbegun(clerk: Clerk, worker: Worker) -> None:
    """Return, as a worker begins to stop, what none of its threads has begun.

    Dramatiq does it, too, but only when the last thread has ended its work, which may be in an hour.
    """
    waiting = [item.message for item in iter_queue(worker.work_queue)]  # type: ignore[no-untyped-call]  # dramatiq's
    for _ in waiting:
        worker.work_queue.task_done()
    try:
        _give_back(clerk, waiting)
        clerk.clear_desks()
    except BrokerConnectionError as error:
        logger.warning("Could not give back what was not begun (%s); it goes with the lease.", error)


def _facts(message: SqliteMessage) -> dict[str, object]:
    return facts(message.held, message.message_id)


def _done_with(message: SqliteMessage) -> None:
    message.follow_ups = None  # a second acknowledgement must not tell of them again
    message.abandon = None


def _obituary(message: SqliteMessage) -> Obituary:
    error = message._exception  # noqa: SLF001  # dramatiq keeps the actor's last error only here
    text = "failed without an exception"
    trace = message.options.get("traceback")
    if error is not None:
        text = _text(error)
        trace = "".join(traceback.format_exception(error)) if error.__traceback__ else trace
    trace = _storable(trace[-TRACEBACK_CHARS:]) if isinstance(trace, str) else None
    return Obituary(_storable(text), trace, _last_body(message))


def _text(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001  # whatever its __str__ raises: the message must not stay here for that
        return f"{type(error).__name__}: its text cannot be made"


def _storable(text: str) -> str:
    """Escape lone surrogates, which names of files may carry into an error, and which SQLite refuses."""
    return text.encode("utf-8", "backslashreplace").decode()


def _last_body(message: SqliteMessage) -> bytes | None:
    try:
        body: bytes = message.encode()
    except Exception:  # noqa: BLE001  # whatever an encoder of the user's raises
        # Any encoder, any option that a middleware has set: the body as it was stored serves as well.
        logger.warning(
            "Message %s no longer encodes; its dead letter has the body it was sent with.",
            message.message_id,
            extra=_facts(message),
        )
        return None
    return body
