"""A server that is killed at its n-th step.

`python -m tests.api.fused_server` forks one for each line of its input.

A line is the number of steps that the next server may take, 0 for as many as it likes; the answer is its port. Steps
are SQL statements on whatever connection, and what an upload does to its file and to its socket.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event
from waitress.channel import HTTPChannel

from actors import wiring
from api.__main__ import context
from api.landing import Landing
from api.receiving import Reception
from api.server import create_server


class Fuse:
    """Kills this process before its n-th step."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def burn(self, *_: object) -> None:
        """Count one step."""
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def lay(self) -> None:
        """Count every step from here on."""
        event.listen(Engine, "connect", lambda connection, _: connection.set_trace_callback(self.burn))
        for owner, name in ((Landing, "__init__"), (Landing, "write"), (Path, "rename"), (os, "fsync"),
                            (Reception, "keep"), (HTTPChannel, "write_soon")):  # fmt: skip
            setattr(owner, name, self._burning(getattr(owner, name)))

    def _burning(self, step: Callable[..., Any]) -> Callable[..., Any]:  # Any: whatever the step takes and gives
        def burning(*args: Any, **kwargs: Any) -> Any:  # Any: likewise
            self.burn()
            return step(*args, **kwargs)

        return burning


def serve(steps: int) -> None:
    """Serve until killed."""
    server = create_server(context(), host="127.0.0.1", port=0)
    Fuse(steps).lay()
    sys.stdout.write(f"{server.effective_port}\n")
    sys.stdout.flush()
    server.run()


def main() -> None:
    """Fork a server for each line; they all end with this process' process group."""
    child = os.fork()  # of its own, so that no connection is open at the later forks
    if child == 0:
        wiring.store.migrate()
        os._exit(0)
    os.waitpid(child, 0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        if os.fork() == 0:
            serve(int(line))
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
