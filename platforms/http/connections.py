"""Connections that can be cut at a deadline and that go to given addresses; only `platforms.http.client` makes them."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Any, Self

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection


class Watch:
    """Ends a connection at a deadline, from another thread, wherever the owner of the connection is waiting.

    It holds a duplicate of the socket: TLS takes the original over, and shutting the duplicate down ends both.
    """

    def __init__(self, deadline_s: float) -> None:
        self.connected = False
        self.expired = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(deadline_s, self._expire)
        self._timer.daemon = True

    def hold(self, sock: socket.socket) -> None:
        """Watch this connection; cut it at once when the deadline has passed meanwhile."""
        with self._lock:
            self._release()
            self._socket = sock.dup()
        if self.expired:
            self._expire()

    def _expire(self) -> None:
        with self._lock:
            self.expired = True
            if self._socket is not None:
                # Already closed by the other side: then there is nothing to cut.
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


class _Watched(HTTPConnection):
    """A connection that a watch can cut, made to given addresses where there are any."""

    def __init__(self, *args: Any, watch: Watch, addresses: tuple[str, ...], **kwargs: Any) -> None:  # Any: passed on
        super().__init__(*args, **kwargs)
        self._watch = watch
        self._addresses = addresses

    def _new_conn(self) -> socket.socket:
        sock = self._dial() if self._addresses else super()._new_conn()
        self._watch.hold(sock)
        return sock

    def _dial(self) -> socket.socket:
        failed: OSError = OSError("no address")
        for address in self._addresses:
            try:
                return socket.create_connection((address, self.port), self.timeout if self.timeout else None)
            except OSError as error:
                failed = error
        raise urllib3.exceptions.NewConnectionError(self, type(failed).__name__)

    def connect(self) -> None:
        super().connect()
        self._watch.connected = True


class PlainConnection(_Watched):
    """Over plain TCP."""


class TlsConnection(_Watched, HTTPSConnection):
    """Over TLS; the handshake, too, is under the watch."""
