"""Another process that holds the write lock of a database, with an open transaction."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["holding_lock"]

_ROOT = Path(__file__).parents[2]
_PROGRAM = """
import signal, sqlite3, sys
from pathlib import Path
from broker import WriteLock
path, statement = Path(sys.argv[1]), sys.argv[2]
connection = sqlite3.connect(path, isolation_level=None)
connection.execute("PRAGMA cache_size = 2")  # so that the transaction writes to the WAL before it is committed
with WriteLock(path):
    connection.execute("BEGIN IMMEDIATE")
    if statement:
        connection.execute(statement)
    print("held", flush=True)
    signal.pause()
"""


@contextmanager
def holding_lock(path: Path, statement: str = "", *, stopped: bool = False) -> Iterator[int]:
    """Hold the write lock in another process for the length of a block; yields its number. It is killed in the end.

    Args:
        path: of the database.
        statement: to execute in the open transaction, which is never committed.
        stopped: whether the process is stopped (SIGSTOP) while it holds the lock.
    """
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(path), statement], cwd=_ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            if stopped:
                process.send_signal(signal.SIGSTOP)
                os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
            yield process.pid
        finally:
            process.kill()


def main() -> None:
    """As a service: stop with the write lock and an open transaction, once; then only exist.

    The argument is a file, which exists from the moment when the lock is held.
    """
    from actors.wiring import machine  # noqa: PLC0415  # has the settings of the process, and names it in the lock file

    marker = Path(sys.argv[1])
    if marker.exists():
        signal.pause()
    with machine.store.writing(scope="everything") as connection:
        connection.exec_driver_sql("DELETE FROM endpoints")
        marker.touch()
        os.kill(os.getpid(), signal.SIGSTOP)
        signal.pause()


if __name__ == "__main__":
    main()
