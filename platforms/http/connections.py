"""Connections with a deadline, also of the look-up of the name; only `platforms.http.client` makes them."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from types import TracebackType
from typing import Any, Self

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from platforms.http import fencing, resolver

MAX_INTERIM_RESPONSES = 20


class ConnectionDeadline:
    """Shuts a connection down at a deadline, from a timer thread, whatever call the owner blocks in.

    It keeps a duplicate of the socket: TLS takes the original over, and shutting the duplicate down ends both.

    Attributes:
        began: whether a TCP connection was established.
        connected: whether a connection was established, with TLS where it is used.
        expired: whether the deadline has passed.
    """

    def __init__(self, deadline_s: float) -> None:
        self.began = False
        self.connected = False
        self.expired = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._arm(deadline_s)

    @property
    def remaining_s(self) -> float:
        """Seconds until the deadline; not negative."""
        return max(0.0, self._end_s - time.monotonic())

    def shorten(self, deadline_s: float) -> None:
        """Move the deadline forward to so many seconds from now, if it is later."""
        if deadline_s < self.remaining_s:
            self._timer.cancel()
            self._arm(deadline_s)
            self._timer.start()

    def _arm(self, deadline_s: float) -> None:
        self._end_s = time.monotonic() + deadline_s
        self._timer = threading.Timer(deadline_s, self.expire)
        self._timer.daemon = True

    def attach(self, sock: socket.socket) -> None:
        """Put a connection under the deadline; shut it down at once when the deadline has already passed."""
        with self._lock:
            self._release()
            self._socket = sock.dup()
            self.began = True
        if self.expired:
            self.expire()

    def expire(self) -> None:
        """Shut the connection down now; any thread may call it."""
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


class FinalResponse(http.client.HTTPResponse):
    """A response that skips all interim responses (1xx); the library skips 100 only, and takes 103 for the answer."""

    def begin(self) -> None:
        """Read the head of the final response."""
        super().begin()
        for _ in range(MAX_INTERIM_RESPONSES):
            if not 100 < self.status < 200 or self.status == http.HTTPStatus.SWITCHING_PROTOCOLS:
                return
            self.headers = self.msg = None  # type: ignore[assignment]  # as in a new response: `begin` reads them once
            super().begin()
        raise http.client.HTTPException(f"more than {MAX_INTERIM_RESPONSES} interim responses")


class PlainConnection(HTTPConnection):
    """A TCP connection with a deadline, made to the given addresses if there are any."""

    response_class = FinalResponse

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
        sock = self._connect_to(self._addresses or self._resolve())
        for option in self.socket_options or ():
            sock.setsockopt(*option)
        self._deadline.attach(sock)
        return sock

    def _resolve(self) -> tuple[str, ...]:
        try:
            return resolver.for_platforms.resolve(self.host, min(resolver.DEADLINE_S, self._deadline.remaining_s))
        except socket.gaierror as error:
            raise urllib3.exceptions.NameResolutionError(self.host, self, error) from error

    def _connect_to(self, addresses: tuple[str, ...]) -> socket.socket:
        failed: OSError = OSError("no address")
        for address in addresses:
            try:
                return socket.create_connection((address, self.port), self._timeout_s())
            except OSError as error:
                failed = error
        raise urllib3.exceptions.NewConnectionError(self, type(failed).__name__) from failed

    def _timeout_s(self) -> float:
        """Return the timeout for one address: all together must not exceed the deadline."""
        if self._deadline.remaining_s <= 0:
            raise TimeoutError("deadline passed")
        return min(self.timeout or self._deadline.remaining_s, self._deadline.remaining_s)

    def send(self, data: Any) -> None:  # Any: as of http.client
        """Send a block of a request, if the thread may still do so."""
        fencing.current().check()
        super().send(data)

    def connect(self) -> None:
        """Connect, and note that the connection was established."""
        super().connect()
        self._deadline.connected = True
        fencing.current().check()


class TlsConnection(PlainConnection, HTTPSConnection):
    """A TLS connection with a deadline, which covers the handshake, too."""
