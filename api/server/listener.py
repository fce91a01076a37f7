"""Listening sockets, and the server made of them."""

from __future__ import annotations

import errno
import resource
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from api.server.connection import Connection
from api.server.connections import Connections
from api.server.event_loop import EventLoop
from api.server.head_checks import HeadChecks
from api.server.request_queue import RequestQueue

MAX_HEADER_BYTES = 32_768

ACCEPTED_AT_ONCE = 64
"""Connections that are accepted before the others are looked after."""

UNSENT_BYTES = 32_768
"""Unsent bytes that the kernel keeps for each connection; by default up to 4 MB, for clients that do not read."""

WANTED_FILES = 4096
"""File descriptors; some systems give 1,024 unless a process asks for more."""

RESERVED_FILES = 300
"""File descriptors for uploads, database, pages and the standard library."""

LOOP_TIMEOUT_S = 20.0  # it goes on once a second at least
THREADS_TIMEOUT_S = 120.0  # far longer than all of them are busy with one request each

_NO_WAITING = 2**40  # bytes of unread output from which waitress' threads wait for the client
_REFUSED = "port {1} of {0} cannot be opened: {2}"
_REFUSALS = {
    errno.EADDRINUSE: "port {1} of {0} is used by another program; end it, or choose another port",
    errno.EADDRNOTAVAIL: "HOST {0} is not an address of this computer",
    errno.EACCES: "port {1} of {0} is reserved for root; choose one from 1024",
}
_OUT_OF_FILES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class CannotListen(Exception):
    """A port cannot be opened; the message says why."""


class ListeningPort(TcpWSGIServer):  # type: ignore[misc]  # waitress has no types
    """One listening socket."""

    connections: Connections  # set on a subclass

    def readable(self) -> bool:
        """Return whether connections are accepted: always."""
        return bool(self.accepting)

    def handle_accept(self) -> None:
        """Accept the waiting connections."""
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                accepted = self.accept()
            except OSError as error:
                if error.errno in _OUT_OF_FILES:
                    self.connections.evict(ACCEPTED_AT_ONCE)
                return
            if accepted is None:
                return
            sock, address = accepted
            try:
                self.set_socket_options(sock)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
            except OSError:  # the client has gone
                sock.close()
                continue
            self.channel_class(self, sock, address, self.adj, map=self._map)


class Server:
    """Some ports, served by one event loop."""

    def __init__(self, tick: Callable[[], None]) -> None:
        """Prepare.

        Args:
            tick: called about once a second.
        """
        self.loop = EventLoop(tick)
        self._listeners: list[ListeningPort] = []

    @property
    def effective_port(self) -> int:
        """Return the port that was opened first."""
        return int(self._listeners[0].effective_port)

    def listen(
        self,
        application: Any,  # Any: WSGI's
        *,
        host: str,
        port: int,
        threads: int,
        max_body_bytes: int,
        checks: HeadChecks,
        connections: Connections,
    ) -> None:
        """Open a port on all addresses of a host.

        Args:
            port: 0 chooses a free one.
            threads: that run the application.
            max_body_bytes: of any request.
            checks: of requests, before their bodies.
            connections: the registry of the port's connections.

        Raises:
            CannotListen: the host is unknown here, or the port is used or reserved.
        """
        settings = _adjustments(host, port, threads=threads, max_request_body_size=max_body_bytes)
        variables = {"head_checks": checks, "connections": connections, "loop": self.loop}
        connection = type("PortConnection", (Connection,), variables)
        listener = type("PortListener", (ListeningPort,), {"channel_class": connection, "connections": connections})
        dispatcher = ThreadedTaskDispatcher()
        dispatcher.queue = RequestQueue()
        dispatcher.set_thread_count(threads)
        try:
            self._listeners += [
                listener(application, self.loop.sockets, True, None, dispatcher, settings, address)
                for address in settings.listen
            ]
        except OSError as error:
            raise CannotListen(_REFUSALS.get(error.errno or 0, _REFUSED).format(host, port, error.strerror)) from error

    def stuck(self, now_s: float) -> str | None:
        """Return why the server serves nobody any more; None if it does. For the supervisor (`liveness`).

        Args:
            now_s: the time by `time.monotonic`.
        """
        turned_s = self.loop.turned_s
        if turned_s is not None and now_s - turned_s > LOOP_TIMEOUT_S:
            return f"the server's loop has stood still for {now_s - turned_s:.0f} s"
        for queue in [listener.task_dispatcher.queue for listener in self._listeners]:
            if len(queue) and now_s - queue.taken_s > THREADS_TIMEOUT_S:
                return f"requests wait, and no thread has taken one for {now_s - queue.taken_s:.0f} s"
        return None

    def run(self) -> None:
        """Serve until SystemExit or KeyboardInterrupt is raised in this thread, or `stop` is called."""
        try:
            self.loop.run()
        except (SystemExit, KeyboardInterrupt):
            self._end_threads()

    def stop(self) -> None:
        """End the threads and the loop, from another thread."""
        # Threads first: at its end each request writes to the trigger, which `close_all` closes.
        self._end_threads()
        with suppress(OSError):  # the loop may have run it already, woken by another task
            self._listeners[0].trigger.pull_trigger(self._close_all)

    def _close_all(self) -> None:
        for one in list(self.loop.sockets.values()):
            if isinstance(one, Connection):
                one.close_now()
        wasyncore.close_all(self.loop.sockets)

    def _end_threads(self) -> None:
        for dispatcher in {listener.task_dispatcher for listener in self._listeners}:
            dispatcher.shutdown()


def connection_limit(wanted: int) -> int:
    """Raise this process's limit of open files if it is low; return how many connections it allows.

    Args:
        wanted: number of connections.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < WANTED_FILES:
        soft = WANTED_FILES if hard == resource.RLIM_INFINITY else min(WANTED_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - RESERVED_FILES))


def _adjustments(host: str, port: int, **limits: int) -> Adjustments:
    try:
        return Adjustments(
            host=host,
            port=port,
            ident=None,
            max_request_header_size=MAX_HEADER_BYTES,
            outbuf_high_watermark=_NO_WAITING,
            log_socket_errors=False,  # lost connections are expected from phones
            clear_untrusted_proxy_headers=True,
            **limits,
        )
    except ValueError as error:  # of this host: the other values are valid
        raise CannotListen(f"HOST {host} is neither a name nor an address that this computer knows") from error
