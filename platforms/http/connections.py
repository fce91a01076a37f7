"""Connections with a deadline, optionally to given addresses; only `platforms.http.client` makes them."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Any, Self

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection


class ConnectionDeadline:
    """Shuts a connection down at a deadline, from a timer thread, whatever call the owner blocks in.

    It keeps a duplicate of the socket: TLS takes the original over, and shutting the duplicate down ends both.

    Attributes:
        connected: whether a connection was established.
        expired: whether the deadline has passed.
    """

    def __init__(self, deadline_s: float) -> None:
        self.connected = False
        self.expired = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(deadline_s, self._expire)
        self._timer.daemon = True

    def attach(self, sock: socket.socket) -> None:
        """Put a connection under the deadline; shut it down at once when the deadline has already passed."""
        with self._lock:
            self._release()
            self._socket = sock.dup()
        if self.expired:
            self._expire()

    def _expire(self) -> None:
        with self._lock:
            self.expired = True
            if self._socket is not None:
                # Already closed by the other side: then there is nothing to shut down.
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def _release(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._timer.cancel()
        with self._lock:
            self._release()


class PlainConnection(HTTPConnection):
    """A TCP connection with a deadline, made to the given addresses if there are any."""

    def __init__(
        self,
        *args: Any,  # Any: handed through to urllib3
        deadline: ConnectionDeadline,
        addresses: tuple[str, ...],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._deadline = deadline
        self._addresses = addresses

    def _new_conn(self) -> socket.socket:
        sock = self._connect_to_addresses() if self._addresses else super()._new_conn()
        self._deadline.attach(sock)
        return sock

    def _connect_to_addresses(self) -> socket.socket:
        failed: OSError = OSError("no address")
        for address in self._addresses:
            try:
                return socket.create_connection((address, self.port), self.timeout if self.timeout else None)
            except OSError as error:
                failed = error
        raise urllib3.exceptions.NewConnectionError(self, type(failed).__name__)

    def connect(self) -> None:
        """Connect, and note that the connection was established."""
        super().connect()
        self._deadline.connected = True


class TlsConnection(PlainConnection, HTTPSConnection):
    """A TLS connection with a deadline, which covers the handshake, too."""
