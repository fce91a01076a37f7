"""PgBouncer in transaction mode in front of a test's server."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.postgresql_server import USER, PostgresqlServer
from tests.support.waiting import wait_for

__all__ = ["running_pgbouncer"]

_CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server_port} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
auth_type = any
pool_mode = transaction
default_pool_size = 3
unix_socket_dir =
logfile = {directory}/pgbouncer.log
"""


@contextlib.contextmanager
def running_pgbouncer(server: PostgresqlServer, database: str) -> Iterator[str]:
    """Run PgBouncer for the length of a block; yields the URL of a database. Skips the test if it is not installed."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("PgBouncer is missing")
    directory = Path(tempfile.mkdtemp(prefix="pgbouncer-", dir="/tmp"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    file = directory / "pgbouncer.ini"
    file.write_text(_CONFIGURATION.format(server_port=server.port, port=port, directory=directory, user=USER))
    command = [program, "--quiet", str(file)]
    if os.getuid() == 0:
        shutil.chown(directory, USER)
        command = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups", *command]
    directory.chmod(0o755)
    file.chmod(0o644)
    process = subprocess.Popen(command, cwd=directory)
    url = f"postgresql://{USER}@127.0.0.1:{port}/{database}"
    try:
        wait_for(lambda: _accepts(url), "PgBouncer")
        yield url
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(directory, ignore_errors=True)


def _accepts(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True
