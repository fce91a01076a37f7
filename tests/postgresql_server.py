"""A real PostgreSQL server in a temporary directory, for tests; each test gets a database of its own."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

__all__ = ["PostgresqlServer", "postgresql_programs", "running_server"]

USER = "postgres"  # the server refuses to run as root
# The machine does not crash in a test, so nothing need be synced; a killed server recovers from its WAL all the same.
_CONFIGURATION = """
fsync = off
full_page_writes = off
max_connections = 300
shared_buffers = 32MB
max_wal_size = 256MB
autovacuum_naptime = 5s
logging_collector = off
wal_writer_delay = 10s
"""


def postgresql_programs() -> Path | None:
    """Return the directory of the server's programs, the newest version; None if it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("pg_ctl")
    return None if on_path is None else Path(on_path).parent


def _english(programs: Path) -> list[str]:
    """Return the options for a server that compares text as in English, unlike Python and SQLite; since version 15."""
    known = subprocess.run([programs / "initdb", "--help"], check=True, capture_output=True, text=True).stdout
    return ["--encoding=UTF8", "--locale-provider=icu", "--icu-locale=en-US"] if "--icu-locale" in known else []


class PostgresqlServer:
    """One server, which a test may stop and start again."""

    def __init__(self, programs: Path, directory: Path, *, english: bool = False) -> None:
        self._programs = programs
        self._directory = directory
        self._numbers = itertools.count(1)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        if os.getuid() == 0:
            shutil.chown(directory, USER)
        options = ["--auth=trust", "--no-sync", "--no-instructions", *(_english(programs) if english else [])]
        self._run("initdb", "-D", str(self.data), "-U", USER, *options)
        settings = f"{_CONFIGURATION}port = {self.port}\nunix_socket_directories = '{directory}'\n"
        with (self.data / "postgresql.conf").open("a") as configuration:
            configuration.write(settings)

    @property
    def data(self) -> Path:
        """The data directory."""
        return self._directory / "data"

    def url(self, database: str = "postgres", port: int | None = None) -> str:
        """Return the URL of a database; `port` is that of a proxy."""
        return f"postgresql://{USER}@127.0.0.1:{port or self.port}/{database}"

    def start(self) -> None:
        """Start and wait until connections are accepted."""
        self._run("pg_ctl", "start", "-w", "-D", str(self.data), "-l", str(self._directory / "server.log"))

    def stop(self, mode: str = "immediate") -> None:
        """Stop: "immediate" is a crash, "fast" ends the sessions."""
        self._run("pg_ctl", "stop", "-w", "-D", str(self.data), "-m", mode)

    def become_standby(self) -> None:
        """Start again as a standby, which refuses to write."""
        self.stop("fast")
        (self.data / "standby.signal").touch()
        self.start()

    def promote(self) -> None:
        """Become the primary again."""
        self._run("pg_ctl", "promote", "-w", "-D", str(self.data))

    def create_database(self, template: str = "template1", name: str = "") -> str:
        """Create a database; returns its name."""
        name = name or f"test_{next(self._numbers)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, with the sessions that use it."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def crash(self, number: int) -> None:
        """Crash, start again, and commit transactions until one has this number, which another had before."""
        self.stop("immediate")
        self.start()
        found = 0
        with psycopg.connect(self.url(), autocommit=True) as connection:
            while found < number:
                row = connection.execute("SELECT pg_current_xact_id()::text").fetchone()
                assert row is not None
                found = int(row[0])
        assert found == number, "the transaction was in the WAL when the server crashed"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        if os.getuid() == 0:
            command = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups", *command]
        # To a file, because the server inherits the output and would keep a pipe open.
        with (self._directory / "programs.log").open("ab") as log:
            subprocess.run(
                command, check=True, cwd=self._directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=60
            )


@contextlib.contextmanager
def running_server(*, english: bool = False) -> Iterator[PostgresqlServer]:
    """Run a server for the length of a block, on request with the order of English; skips if PostgreSQL is missing."""
    programs = postgresql_programs()
    if programs is None:
        pytest.skip("PostgreSQL's programs are missing")
    # A short path: that of a socket may have 107 bytes.
    directory = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    try:
        server = PostgresqlServer(programs, directory, english=english)
        server.start()
        try:
            yield server
        finally:
            with contextlib.suppress(subprocess.CalledProcessError):  # a test has stopped it
                server.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
