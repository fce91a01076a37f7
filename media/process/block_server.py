"""Fetches blocks of a child's source while the child waits for them; the parent's half of `media.process.source_file`.

The child has an open socket to its parent. It writes the number of a block, and reads one byte when the block is there.
Each error ends the child: no result is made of a source that could not be read.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol

from media.errors import ChildFailed
from media.process.protocol import BLOCK_NUMBER, ENV_SOURCE, FETCHED


class PartialSource(Protocol):
    """A source of which only some blocks are on this machine; see `files.storage.PartialCopy`."""

    @property
    def name(self) -> Path:
        """Return what the command line calls the source. There is no such file."""
        ...

    @property
    def data(self) -> Path:
        """Return the path of the bytes; those of missing blocks are zeros."""
        ...

    @property
    def marks(self) -> Path:
        """Return the path of a file with a byte for each block, 1 if it is there."""
        ...

    @property
    def block_bytes(self) -> int:
        """Return the size of a block."""
        ...

    @property
    def fetch(self) -> Callable[[int], None]:
        """Return the function that fetches a block by its number."""
        ...


class BlockServer:
    """Serves the blocks of one child's source, in a thread of its own; nothing without such a source."""

    def __init__(self, source: PartialSource | None) -> None:
        self._source = source
        self._error: BaseException | None = None
        self._ours: socket.socket | None = None
        self._theirs: socket.socket | None = None
        if source is not None:
            self._ours, self._theirs = socket.socketpair()

    def __enter__(self) -> BlockServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection. A request that is under way ends by itself, and its result is of no use."""
        for end in (self._ours, self._theirs):
            if end is not None:
                with contextlib.suppress(OSError):  # the child has closed the other end
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Return the descriptors that the child inherits."""
        return () if self._theirs is None else (self._theirs.fileno(),)

    @property
    def environment(self) -> dict[str, str]:
        """Return the variable that describes the source to the child."""
        source = self._source
        if source is None or self._theirs is None:
            return {}
        paths = {"name": str(source.name), "data": str(source.data), "marks": str(source.marks)}
        numbers = {"block_bytes": source.block_bytes, "channel": self._theirs.fileno()}
        return {ENV_SOURCE: json.dumps(paths | numbers)}

    def start(self) -> None:
        """Begin to serve, after the child was started."""
        if self._source is None or self._ours is None or self._theirs is None:
            return
        self._theirs.close()
        threading.Thread(target=self._serve, args=(self._source, self._ours), name="blocks", daemon=True).start()

    def check(self) -> None:
        """Raise the error of a request, if there was one."""
        if self._error is not None:
            raise self._error

    def _serve(self, source: PartialSource, channel: socket.socket) -> None:
        try:
            count = source.marks.stat().st_size
            while len(request := channel.recv(BLOCK_NUMBER.size, socket.MSG_WAITALL)) == BLOCK_NUMBER.size:
                (block,) = BLOCK_NUMBER.unpack(request)
                if block >= count:
                    raise ChildFailed(stderr_tail=f"it asked for block {block} of {count}")
                source.fetch(block)
                channel.sendall(FETCHED)
        except (BrokenPipeError, ConnectionResetError):  # the child has ended
            return
        except BaseException as error:  # noqa: BLE001  # the edge of a thread; raised by `check`
            self._error = error
        finally:
            with contextlib.suppress(OSError):  # closed by `__exit__`
                channel.shutdown(socket.SHUT_RDWR)
