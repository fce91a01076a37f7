"""Loopback servers whose behaviour a test controls byte by byte."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

Talk = Callable[[socket.socket, bytes], None]


@contextlib.contextmanager
def server(talk: Talk) -> Iterator[tuple[str, list[bytes]]]:
    """Serve each connection with `talk`, which gets its first block; yield the address and all first blocks."""
    listener = socket.create_server(("127.0.0.1", 0))
    first_blocks: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            first = connection.recv(65_536)
            first_blocks.append(first)
            talk(connection, first)

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", first_blocks
    listener.close()


def answering(status: str, body: bytes = b"", *headers: str) -> Talk:
    """Return a talk that sends this response at once."""
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers])

    def talk(connection: socket.socket, _first: bytes) -> None:
        connection.sendall(head.encode() + b"\r\n\r\n" + body)
        # Closing with unread bytes (a request body that comes in a second segment) would reset the connection, and the
        # client might lose the response.
        connection.settimeout(5)
        while connection.recv(65_536):
            pass

    return talk
