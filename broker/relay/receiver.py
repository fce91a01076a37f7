"""Receivers: threads of a worker process that take tokens from the transport, one for each queue."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from dramatiq.broker import Consumer

from broker.relay.transport import Transport

__all__ = ["TokenReceiver"]

# A process without idle threads keeps its consumer for so long, and then closes it: a token that is on its way to it
# would wait with it, and RabbitMQ expects answers to its heartbeats.
BUSY_S = 1.0
RETRY_S = 2.0  # between two attempts to connect, each with a look into the tables
CLOSE_TIMEOUT_S = 3.0

logger = logging.getLogger(__name__)


class TokenReceiver:
    """A thread that receives the tokens of one queue while this process has idle threads for it.

    Args:
        transport: of the tokens.
        queue: the queue of messages.
        on_token: called when a token has arrived: the queue has a message.
        on_failure: called when tokens cannot be received: the queue may have messages.
    """

    def __init__(
        self, transport: Transport, queue: str, on_token: Callable[[], None], on_failure: Callable[[], None]
    ) -> None:
        self._transport = transport
        self._queue = queue
        self._on_token = on_token
        self._on_failure = on_failure
        self._wanted = threading.Event()
        self._end = threading.Event()
        self._source: Consumer | None = None
        self._failed = False
        self._thread = threading.Thread(target=self._run, name=f"broker-tokens-{queue}", daemon=True)
        self._thread.start()

    @property
    def died(self) -> bool:
        """Return whether the thread has ended without `stop`."""
        return not self._end.is_set() and not self._thread.is_alive()

    @property
    def is_receiving(self) -> bool:
        """Return whether the thread consumes tokens now."""
        return self._source is not None and self._wanted.is_set()

    def want(self, *, wanted: bool) -> None:
        """Receive tokens from now on, or no longer."""
        if wanted:
            self._wanted.set()
        else:
            self._wanted.clear()

    def stop(self) -> None:
        """Have the thread end."""
        self._end.set()
        self._wanted.set()

    def join(self) -> None:
        """Wait until the thread has ended."""
        self._thread.join(CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        while not self._end.is_set():
            if not self._wanted.wait(BUSY_S if self._source is not None else None):
                self._drop_source()
                continue
            try:
                self._receive()
            except Exception as error:  # noqa: BLE001  # of pika, redis or dramatiq; whatever it is, connect again
                self._retry(error)
        self._drop_source()

    def _receive(self) -> None:
        if self._end.is_set():
            return
        if self._source is None:
            self._source = self._transport.receive(self._queue)
        token = next(self._source)
        if self._failed:
            self._failed = False
            logger.info("Queue %r: tokens are received again.", self._queue)
        if token is not None:
            self._wanted.clear()  # before the claim: after it, `want` is called again
            self._on_token()
            self._source.ack(token)

    def _retry(self, error: Exception) -> None:
        """Report the first failure, have the tables read, and wait."""
        if not self._failed:
            logger.warning(
                "Queue %r: no tokens can be received (%s: %s); its table is read every %.0f s meanwhile.",
                self._queue,
                type(error).__name__,
                error,
                RETRY_S,
            )
        self._failed = True
        self._drop_source()
        self._on_failure()
        self._end.wait(RETRY_S)

    def _drop_source(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            self._transport.release(source)
