"""Consumers: they fetch messages from the buffers of the engine, acknowledge, reject and requeue them.

Acknowledgements come from any worker thread and through whichever consumer there is at the time. Which claim they end
is in the fencing token of the message, so a consumer keeps no state of its own.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import traceback
from collections.abc import Callable, Iterable
from functools import partial
from queue import Empty

from dramatiq import Worker
from dramatiq.broker import Consumer, MessageProxy
from dramatiq.common import iter_queue
from dramatiq.errors import BrokerConnectionError, DecodeError
from dramatiq.threading import Interrupt

from broker.engine.batch import WriteBatch, WriteRequest
from broker.engine.engine import Engine
from broker.engine.message import FollowUps, SqliteMessage, decode_claim, log_fields
from broker.engine.prefetch import QueueBuffer
from broker.errors import BrokerClosed
from broker.storage.encoding import AnyMessage
from broker.storage.queue import Claim, Failure, is_cancelled

__all__ = ["DelayQueueConsumer", "SqliteConsumer", "release_waiting"]

TRACEBACK_CHARS = 30_000

logger = logging.getLogger(__name__)


class DelayQueueConsumer(Consumer):
    """The consumer of a delay queue. It never returns a message: delays are kept in the tables."""

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
        self, engine: Engine, buffer: QueueBuffer, timeout_ms: int, *, sent: Callable[[AnyMessage, int | None], None]
    ) -> None:
        """Consume from a buffer; `sent` is called for every message that was stored with an acknowledgement."""
        self._engine = engine
        self._buffer = buffer
        self._timeout_s = timeout_ms / 1000
        self._sent = sent
        buffer.consumers.add(self)

    def __next__(self) -> SqliteMessage | None:
        if self._engine.writer.closed:
            raise BrokerClosed("the broker was closed; consume again")
        item = self._fetch()
        if isinstance(item, BaseException):
            raise item
        if item is None:
            return None
        try:
            message = decode_claim(item)
        except DecodeError as error:
            self._dead_letter_undecoded(item, error)
            return None
        message.on_dropped = self._engine.redeliver_soon
        return message

    def ack(self, message: MessageProxy) -> None:
        """Delete the message. Nothing happens if it is not ours, settled, or was given to another process meanwhile.

        If sending one of its follow-ups failed, it does not count as processed: it goes to the dead letters with that
        error, or runs again if its end was interrupted.
        """
        if isinstance(message, SqliteMessage) and not self._settled_otherwise(message):
            self._settle(message, partial(WriteBatch.ack, claim=message.held))

    def nack(self, message: MessageProxy) -> None:
        """Move the message, as it is now, to the dead letters with its error. A cancelled one is deleted."""
        if isinstance(message, SqliteMessage) and message.cancelled:
            self._settle(message, partial(WriteBatch.ack, claim=message.held))
        elif isinstance(message, SqliteMessage) and not self._settled_otherwise(message):
            self._dead_letter(message)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Return messages to their old places, in one commit, and notify waiting processes."""
        _release(self._engine, messages)

    def close(self) -> None:
        """Return the messages that were not fetched. Messages fetched earlier can still be settled."""
        self._buffer.consumers.discard(self)
        if not self._buffer.consumers:  # else the consumer of another worker in this process fetches them
            self._engine.close_buffer(self._buffer)

    def _fetch(self) -> Claim | BaseException | None:
        try:
            return self._buffer.inbox.get_nowait()
        except Empty:
            pass
        try:
            if self._buffer.attend(self):
                self._engine.writer.wake()
            return self._buffer.inbox.get(timeout=self._timeout_s)
        except Empty:
            return None
        finally:
            self._buffer.leave(self)

    def _settled_otherwise(self, message: SqliteMessage) -> bool:
        """Settle a message whose lease was lost or whose follow-ups are incomplete; False for any other."""
        if message.lost:
            message.follow_ups = None
            self._settle(message, partial(self._engine.redeliver, message.held))
            return True
        follow_ups = message.follow_ups
        if follow_ups is None or follow_ups.complete:
            return False
        if follow_ups.failure is not None:
            message.stuff_exception(follow_ups.failure)
            self._dead_letter(message)
        else:
            self._settle(message, partial(self._engine.redeliver, message.held))
        return True

    def _dead_letter(self, message: SqliteMessage) -> None:
        self._settle(
            message, partial(WriteBatch.dead_letter, claim=message.held, failure=_failure(message, self._engine.redact))
        )

    def _settle(self, message: SqliteMessage, end: Callable[[WriteBatch], bool]) -> None:
        """End a claim and store the follow-ups of its message, in one commit."""
        follow_ups = message.follow_ups or FollowUps()

        def end_and_store(batch: WriteBatch) -> bool:
            own_retry = any(entry.message_id == message.message_id for entry in follow_ups.entries)
            if own_retry and is_cancelled(batch.connection, message.held):
                follow_ups.drop(message.message_id)
            ours = end(batch)
            if ours:
                batch.store(follow_ups.entries)
            return ours

        try:
            ours = self._commit(message, end_and_store if follow_ups.entries and follow_ups.complete else end)
        except BrokerConnectionError:
            raise
        except Exception as error:
            if not follow_ups.entries or not follow_ups.complete:
                raise
            # A delay beyond all time, say. Dramatiq would only log it, and the message would stay claimed for good.
            follow_ups.failure = error
            self._settled_otherwise(message)
            return
        _clear(message)
        if not ours:
            logger.warning("Message %s: claim lost, nothing changed.", message.message_id, extra=_log_fields(message))
        elif follow_ups.complete:
            for follow_up, delay in follow_ups.sent:
                self._sent(follow_up, delay)

    def _commit(self, message: SqliteMessage, work: Callable[[WriteBatch], bool]) -> bool:
        """Have the work committed, once; an exception raised into this thread meanwhile is dropped.

        The actor is over, so whatever wanted to interrupt it (a time limit, a shutdown) comes too late; passed on, it
        would end the worker thread for good and leave the message unsettled.
        """
        while True:
            try:
                if message.settling is None:
                    message.settling = WriteRequest(work)
                self._engine.writer.submit(message.settling)
                return message.settling.wait()
            except Interrupt as late:
                logger.info(
                    "%s came after message %s had ended.",
                    type(late).__name__,
                    message.message_id,
                    extra=_log_fields(message),
                )
            except BrokerClosed:
                return False  # closing has returned the claimed messages
            except Exception:
                message.settling = None  # dramatiq tries again
                raise

    def _dead_letter_undecoded(self, claim: Claim, error: DecodeError) -> None:
        logger.error(
            "Queue %r: a message cannot be decoded and is dead-lettered.", claim.queue, extra=log_fields(claim)
        )
        failure = Failure(f"{type(error).__name__}: {error}: {error.error!r}", None)

        try:
            self._engine.writer.call(lambda batch: batch.dead_letter(claim, failure))
        except BrokerConnectionError:
            self._buffer.inbox.put(claim)  # for the next consumer; dramatiq replaces this one
            raise


def _release(engine: Engine, messages: Iterable[MessageProxy]) -> None:
    """Return messages whose processing has not begun to their old places, in one commit."""
    ours = [message for message in messages if isinstance(message, SqliteMessage) and message.settling is None]
    if ours:
        with contextlib.suppress(BrokerClosed):  # closing has returned the claimed messages
            engine.writer.call(lambda batch: batch.release([message.held for message in ours]))
    for message in ours:
        _clear(message)


def release_waiting(engine: Engine, worker: Worker) -> None:
    """Return the messages that wait for a thread of a worker that begins to stop.

    Dramatiq does it, too, but only when the last thread has ended its work, which may be in an hour.
    """
    waiting = [item.message for item in iter_queue(worker.work_queue)]  # type: ignore[no-untyped-call]  # dramatiq's
    for _ in waiting:
        worker.work_queue.task_done()
    try:
        _release(engine, waiting)
        engine.release_buffers()
    except BrokerConnectionError as error:
        logger.warning("Releasing unprocessed messages failed (%s); their lease will expire.", error)


def _log_fields(message: SqliteMessage) -> dict[str, object]:
    return log_fields(message.held, message.message_id)


def _clear(message: SqliteMessage) -> None:
    message.follow_ups = None  # a second acknowledgement must not report them again
    message.on_dropped = None


def _failure(message: SqliteMessage, redact: Callable[[str], str]) -> Failure:
    error = message._exception  # noqa: SLF001  # dramatiq keeps the actor's last error only here
    text = "failed without an exception"
    trace = message.options.get("traceback")
    if error is not None:
        text = _text(error)
        trace = "".join(traceback.format_exception(error)) if error.__traceback__ else trace
    trace = _storable(redact(trace)[-TRACEBACK_CHARS:]) if isinstance(trace, str) else None
    if "traceback" in message.options:
        message.options["traceback"] = trace  # stored with the message by dramatiq
    return Failure(_storable(redact(text)), trace, _last_body(message))


def _text(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001  # whatever its __str__ raises: the message must not stay claimed for that
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
            extra=_log_fields(message),
        )
        return None
    return body
