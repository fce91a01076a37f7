"""A TCP proxy before a PostgreSQL server, which loses answers and cuts connections off."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable


class ServerProxy:
    """Forwards connections to a server on this machine.

    Attributes:
        port: on which it listens.
        lost: set when an answer was lost.
        refuses: while it is set, new connections end at once.
    """

    def __init__(self, port: int) -> None:
        """Listen on a free port for a server on `port`."""
        self._server_port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.lost = threading.Event()
        self.refuses = threading.Event()
        self._statement: bytes | None = None  # whose answer will be lost
        self._passing = threading.Event()
        self._passing.set()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def lose_answer_to(self, statement: bytes) -> None:
        """Pass the next such statement on; its connection ends after the server has answered it."""
        self._statement = statement

    def cut(self) -> None:
        """Pass nothing on any more, on connections that stay open."""
        self._passing.clear()

    def reconnect(self) -> None:
        """End the connections that were cut off, and pass on again."""
        for each in self._sockets:
            _end(each)
        self._passing.set()

    def close(self) -> None:
        """End everything."""
        _end(self._listener)
        self._listener.close()
        self.reconnect()
        for thread in self._threads:
            thread.join(10)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        self._threads.append(threading.Thread(target=target, args=arguments, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.refuses.is_set():
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._server_port))
            self._sockets += [client, server]
            loses_answer = threading.Event()
            self._start(self._forward, client, server, loses_answer)
            self._start(self._answer, server, client, loses_answer)

    def _forward(self, client: socket.socket, server: socket.socket, loses_answer: threading.Event) -> None:
        while sent := _received(client):
            self._passing.wait()
            if self._statement is not None and self._statement in sent:
                self._statement = None
                loses_answer.set()
            with contextlib.suppress(OSError):  # the other side has ended
                server.sendall(sent)
        _end(server)
        client.close()

    def _answer(self, server: socket.socket, client: socket.socket, loses_answer: threading.Event) -> None:
        while answer := _received(server):
            self._passing.wait()
            if loses_answer.is_set():
                self.lost.set()
                break
            with contextlib.suppress(OSError):
                client.sendall(answer)
        _end(client)
        server.close()


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except OSError:
        return b""


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # closing alone sends nothing while another thread waits to receive
        connection.shutdown(socket.SHUT_RDWR)
