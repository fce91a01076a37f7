"""One connection of the server: one request at a time, with the deadlines of `timing`.

Stock waitress parses everything that it has received into requests, so that 256 kB become 9,700 pipelined ones, and
its threads wait for clients that do not read. Here the bytes after a request stay as they are until its response was
sent, and only the server's loop waits for clients.
"""

from __future__ import annotations

import socket
from typing import Any, ClassVar

from waitress.buffers import ReadOnlyFileBasedBuffer
from waitress.channel import HTTPChannel
from waitress.task import ErrorTask, WSGITask

from api.http.connection_counters import Refusal
from api.http.problems import Problem
from api.http.rate_limit import client_address
from api.server.connections import Connections
from api.server.event_loop import EventLoop
from api.server.head_checks import HeadChecks, RequestHead
from api.server.parser import RequestParser
from api.server.timing import Phase, PhaseTimer
from api.uploads.upload import UPLOAD, IncomingUpload

RECV_BYTES = 16_384
"""Bytes read at once, and so the maximum of pending pipelined input of a connection."""

UPLOAD_RECV_BYTES = 262_144
"""The same while an upload arrives; 8 kB cost four times the CPU time (measured)."""

SEND_BYTES = 65_536

_REFUSALS = {
    400: Refusal.MALFORMED,
    431: Refusal.MALFORMED,
    501: Refusal.MALFORMED,
    505: Refusal.MALFORMED,
    411: Refusal.BODY,
    413: Refusal.BODY,
}
_TIMEOUTS = {
    Phase.HEAD: Refusal.HEAD_TIMEOUT,
    Phase.BODY: Refusal.BODY_TIMEOUT,
    Phase.UPLOAD: Refusal.UPLOAD_TIMEOUT,
    Phase.RESPONSE: Refusal.RESPONSE_TIMEOUT,
    Phase.DOWNLOAD: Refusal.RESPONSE_TIMEOUT,
}


class Task(WSGITask):  # type: ignore[misc]  # waitress has no types
    """Runs the application for one request."""

    def get_environment(self) -> dict[str, Any]:  # Any: WSGI's
        """Return the WSGI environment, with the complete upload in it."""
        environment: dict[str, Any] = super().get_environment()
        if self.request.upload is not None:
            environment[UPLOAD] = self.request.upload
        return environment

    def set_close_on_finish(self) -> None:
        """Keep the connection after a response without a body.

        Stock waitress closes it after every 204 and 304, so a page that polls would need a new connection each time.
        """
        wanted = self.request.headers.get("CONNECTION", "").lower().split(",")
        wants_close = "close" in {option.strip() for option in wanted}
        if self.has_body or self.version != "1.1" or wants_close:
            super().set_close_on_finish()


class Connection(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """One connection. The class variables are set on a subclass, because waitress creates the connections."""

    task_class = Task
    error_task_class = ErrorTask
    head_checks: ClassVar[HeadChecks]
    connections: ClassVar[Connections]
    loop: ClassVar[EventLoop]
    request: RequestParser | None = None

    def __init__(self, server: Any, sock: Any, addr: Any, adj: Any, map: Any = None) -> None:  # noqa: A002  # Any: waitress' own
        self.timing = PhaseTimer(self.connections.now_s())
        self._peer = str(addr[0])
        self._pending = b""  # received, but not parsed yet
        self._lingers = False  # after an error response, until the client has read it
        self._request_count = 0
        super().__init__(server, sock, addr, adj, map=map)
        self.sendbuf_len = SEND_BYTES
        self.connections.add(self, client_address(self._peer, None, behind_fly=False))

    @property
    def descriptor(self) -> int:
        """Return the file descriptor; -1 after the connection was closed."""
        return -1 if self._fileno is None else int(self._fileno)

    @property
    def client(self) -> str:
        """Return the address of the client."""
        return self.connections.address(self)

    @property
    def first_request(self) -> bool:
        """Return whether the current request is the first one of the connection."""
        return self._request_count <= 1

    @property
    def held_bytes(self) -> int:
        """Return the memory of incomplete requests, pending input and unread output."""
        requests = [*self.requests, *([self.request] if self.request else [])]
        unread = sum(len(one) for one in list(self.outbufs) if not isinstance(one, ReadOnlyFileBasedBuffer))
        return len(self._pending) + sum(int(one.held_bytes) for one in requests) + unread

    def readable(self) -> bool:
        """Return whether bytes may be read: not before the response to the last request was sent."""
        return not self._pending and bool(super().readable())

    def handle_read(self) -> None:
        """Read from the socket."""
        try:
            data = self.recv(self._recv_bytes())
        except BlockingIOError:
            return
        except OSError:
            self.handle_close()
            return
        if data:
            self.received(data)

    def received(self, data: bytes) -> bool:
        """Process bytes from the socket; drop them after an error."""
        if self.timing.phase is Phase.LINGERING:
            return False
        self.timing.add(len(data))
        self._pending += data
        self._parse()
        self.connections.hold(self)
        return True

    def handle_write(self) -> None:
        """Send output; then continue with the next request."""
        super().handle_write()
        if self.connected and not self.requests and not self.total_outbufs_len:
            self._continue()

    def service(self) -> None:
        """Run the application for the current request, in a thread; or send its error."""
        super().service()
        self._touch()

    def write_soon(self, data: Any) -> int:  # Any: bytes, or a file of waitress
        """Add output, from a thread; it is sent at once as far as the socket takes it."""
        written = int(super().write_soon(data))
        if self.total_outbufs_len:
            self._touch()
        return written

    def send(self, data: bytes, do_close: bool = True) -> int:
        """Send bytes to the socket; return how many were sent."""
        sent = int(super().send(data, do_close=do_close))
        self.timing.add(sent)
        return sent

    def request_ended(self) -> None:
        """Continue after a thread has ended the current request."""
        if not self.connected or self.timing.phase is not Phase.RUNNING:
            return
        if self.total_outbufs_len:
            is_file = any(isinstance(one, ReadOnlyFileBasedBuffer) for one in list(self.outbufs))
            self.timing.begin(Phase.DOWNLOAD if is_file else Phase.RESPONSE, self.connections.now_s())
            self.connections.hold(self)
        elif not (self.will_close or self.close_when_flushed):
            self._continue()

    def close_for(self, reason: Refusal) -> None:
        """Close the connection; answer an incomplete request with an error.

        Args:
            reason: HEAD_TIMEOUT stands for any timeout.
        """
        phase = self.timing.phase
        if reason is Refusal.HEAD_TIMEOUT:
            timeout = _TIMEOUTS.get(phase)
            if timeout is not None:
                self.connections.counters.count(timeout, self.connections.address(self))
        else:
            self.connections.counters.count(reason, self.connections.address(self))
        if phase in {Phase.HEAD, Phase.BODY} and self.request is not None:
            self.request.refuse(_timeout() if reason is Refusal.HEAD_TIMEOUT else _overload())
            self._end_request(lingers=False)
        else:
            self.close_now()

    def close_now(self) -> None:
        """Close the connection without waiting for the client."""
        self._lingers = False
        self.handle_close()

    def handle_close(self) -> None:
        """Close the connection; after an error, first wait until the client has read it.

        Closing a socket with unread bytes resets the connection, and browsers then show a network error.
        """
        if self._lingers and self.connected and self._end_response():
            return
        self._lingers = False
        self.connections.remove(self)
        self._pending = b""
        if self.request is not None:
            self.request.discard()
            self.request = None
        super().handle_close()

    def _touch(self) -> None:
        self.loop.touched.append(self)
        if self.connected:
            self.server.pull_trigger()

    def _recv_bytes(self) -> int:
        if self.timing.phase is Phase.LINGERING:
            return UPLOAD_RECV_BYTES
        if self.timing.phase is not Phase.UPLOAD or self.request is None:
            return RECV_BYTES
        return min(self.request.remaining_bytes or UPLOAD_RECV_BYTES, UPLOAD_RECV_BYTES)

    def _parse(self) -> None:
        """Parse pending bytes until a request is complete."""
        while self._pending and not (
            self.requests or self.total_outbufs_len or self.will_close or self.close_when_flushed
        ):
            if self.request is None:
                self.request = RequestParser(self.adj, check=self._check_head, peer=self._peer)
            data, self._pending = self._pending, b""
            self._pending = data[self.request.received(data) :]
            self._update_phase(self.request)
            if self.request.completed:
                self._end_request(lingers=True)
            elif self.request.wants_continue:
                self.request.wants_continue = False
                self.send_continue()

    def _update_phase(self, request: RequestParser) -> None:
        if request.empty or not request.begun:  # blank lines between requests extend no deadline
            return
        phase = Phase.HEAD
        if request.headers_finished:
            phase = Phase.BODY if request.upload is None else Phase.UPLOAD
        if phase is self.timing.phase:
            return
        # The head of the first request is counted from the opening of the connection.
        since_s = self.timing.since_s if self.timing.phase is Phase.OPENED else self.connections.now_s()
        self.timing.begin(phase, since_s if phase is Phase.HEAD else self.connections.now_s())

    def _end_request(self, *, lingers: bool) -> None:
        """Run the application for a complete request, or send its error."""
        request, self.request = self.request, None
        if request is None or request.empty:
            return
        self._request_count += 1
        self.timing.begin(Phase.RUNNING, self.connections.now_s())
        with self.requests_lock:
            self.requests.append(request)
        if request.error is None:
            self.server.add_task(self)
            return
        reason = _REFUSALS.get(request.error.status_code)
        if reason is not None:
            self.connections.counters.count(reason, self.client)
        # At once: all threads may be busy.
        self._lingers = lingers
        self._pending = b""
        self.service()
        self.request_ended()

    def _continue(self) -> None:
        """Begin to wait for the next request, whose bytes may be there already."""
        if self.timing.phase in {Phase.RUNNING, Phase.RESPONSE, Phase.DOWNLOAD}:
            self.connections.release(self)
            self.timing.begin(Phase.IDLE, self.connections.now_s())
        self._parse()
        self.connections.hold(self)

    def _check_head(self, head: RequestHead) -> IncomingUpload | None:
        client = self.head_checks.client(head)
        if client is not None:
            self.connections.attribute(self, client)
        return self.head_checks.check(head)

    def _end_response(self) -> bool:
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            return False
        self._lingers = False
        self.timing.begin(Phase.LINGERING, self.connections.now_s())
        self.will_close = self.close_when_flushed = False
        return True


def _timeout() -> Problem:
    return Problem(408, "timeout", "the request did not arrive in time")


def _overload() -> Problem:
    detail = "the server has too many incomplete requests; try again in a few seconds"
    return Problem(503, "overload", detail, headers={"Retry-After": "5"})
