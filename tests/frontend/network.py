"""A TCP proxy on the loopback that fails as mobile networks do: cut connections, silence, lost answers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from urllib.parse import urlsplit


class Network:
    """Passes connections on to the server, as long as it is told to.

    Attributes:
        url: of the page behind it.
        breaks_at: beginning of the answer at which all answers begin to get lost.
        broken: whether answers get lost.
        cut_every_bytes: sent bytes after which a connection is cut; None for never.
        cuts: number of cut connections.
        passed_bytes: number of bytes that reached the server.
    """

    def __init__(self, root: str) -> None:
        self._clients: list[socket.socket] = []
        self.lead_to(root)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._audible = threading.Event()
        self._audible.set()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        self.breaks_at: bytes | None = None
        self.broken = False
        self.cut_every_bytes: int | None = None
        self.cuts = 0
        self.passed_bytes = 0

    def silence(self, on: bool) -> None:
        """Hold all bytes back while connections stay open, or pass them on again."""
        if on:
            self._audible.clear()
        else:
            self._audible.set()

    def lead_to(self, root: str) -> None:
        """Connect to another server from now on, as after a deployment: open connections end."""
        for client in self._clients:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        self._clients.clear()
        place = urlsplit(root)
        self._server = (str(place.hostname), int(place.port or 0))

    def serve(self) -> None:
        """Accept connections until the listener is closed."""
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._clients.append(client)
                server = socket.create_connection(self._server)
                forth = threading.Thread(target=self._pump, args=(client, server), daemon=True)
                forth.start()
                threading.Thread(target=self._back, args=(server, client, forth), daemon=True).start()

    def close(self) -> None:
        """Accept no more connections."""
        self._audible.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        sent = 0
        with suppress(OSError):
            while piece := source.recv(16_384):
                self._audible.wait()
                target.sendall(piece)
                self.passed_bytes += len(piece)
                sent += len(piece)
                if self.cut_every_bytes is not None and sent >= self.cut_every_bytes:
                    self.cuts += 1
                    source.shutdown(socket.SHUT_RDWR)
                    break
            target.shutdown(socket.SHUT_WR)

    def _back(self, server: socket.socket, client: socket.socket, forth: threading.Thread) -> None:
        with closing(server), closing(client), suppress(OSError):
            while piece := server.recv(65_536):
                self._audible.wait()
                self.broken = self.broken or (self.breaks_at is not None and piece.startswith(self.breaks_at))
                if self.broken:
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(piece)
            client.shutdown(socket.SHUT_WR)
            forth.join()  # the server may answer, and end its side, while the client still sends


@contextmanager
def network(root: str) -> Iterator[Network]:
    """Serve the proxy in front of the server at `root`."""
    between = Network(root)
    thread = threading.Thread(target=between.serve, name="network")
    thread.start()
    try:
        yield between
    finally:
        between.close()
        thread.join(10)
