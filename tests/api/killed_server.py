"""A server that is killed before its n-th step.

`python -m tests.api.killed_server` forks a server for each line of its input. A line is the number of the step, 0 for
none, -1 for a server that first cleans up as after a crash; the output is the server's port. Steps are all SQL
statements, and operations on an upload's file and socket.
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
from api.server import create_server
from api.uploads.file import UploadFile
from api.uploads.incomplete import delete_incomplete
from api.uploads.upload import Upload


class KillSwitch:
    """Kills this process before its n-th step."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def count_step(self, *_: object) -> None:
        """Count one step; kill the process before the last one."""
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def install(self) -> None:
        """Count all steps from now on."""
        event.listen(Engine, "connect", lambda connection, _: connection.set_trace_callback(self.count_step))
        for owner, name in ((UploadFile, "__init__"), (UploadFile, "write"), (Path, "rename"), (os, "fsync"),
                            (Upload, "keep"), (HTTPChannel, "write_soon")):  # fmt: skip
            setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, step: Callable[..., Any]) -> Callable[..., Any]:  # Any: whatever the step takes and gives
        def counted(*args: Any, **kwargs: Any) -> Any:  # Any: likewise
            self.count_step()
            return step(*args, **kwargs)

        return counted


def serve(steps: int) -> None:
    """Serve until killed."""
    served = context()
    if steps < 0:
        delete_incomplete(served)
    server = create_server(served, host="127.0.0.1", port=0)
    KillSwitch(steps).install()
    sys.stdout.write(f"{server.effective_port}\n")
    sys.stdout.flush()
    server.run()


def main() -> None:
    """Fork a server for each line; all end with this process group."""
    child = os.fork()  # a separate process, so that no connection is open at the later forks
    if child == 0:
        wiring.machine.store.migrate()
        os._exit(0)
    os.waitpid(child, 0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        if os.fork() == 0:
            serve(int(line))
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
