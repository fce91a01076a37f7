"""The operator's commands on an installation whose database is on a PostgreSQL server."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from store.locks import LockClass
from tests.postgresql_server import PostgresqlServer, running_server
from tests.support.postgresql_machine import SECRETS, database_url
from tests.support.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "pass-word-of-the-server"


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgresqlServer]:
    with running_server() as server:
        yield server


@pytest.fixture(scope="module")
def environ(postgresql: PostgresqlServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment of an installation that is migrated; its server asks for no password."""
    url = database_url(postgresql, postgresql.create_database()).replace("postgres@", f"postgres:{PASSWORD}@")
    data_dir = tmp_path_factory.mktemp("data")
    data_dir.chmod(0o700)
    given = {"PATH": os.environ["PATH"], "DATA_DIR": str(data_dir), "DATABASE_URL": url, **SECRETS}
    ran = _run(given, "migrate")
    assert (ran.returncode, ran.stderr) == (0, "")
    return given


def _run(environ: dict[str, str], command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", f"scripts.machine.{command}", *arguments]
    return subprocess.run(line, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=120)


def test_the_doctor_examines_the_server(environ: dict[str, str]) -> None:
    ran = _run(environ, "doctor")
    assert "database: postgresql+psycopg://postgres:***@127.0.0.1" in ran.stdout
    assert "can be written; its tables have version" in ran.stdout
    assert "opens everything in the database" in ran.stdout
    assert PASSWORD not in ran.stdout + ran.stderr


def test_the_doctor_says_that_the_server_is_not_there(environ: dict[str, str]) -> None:
    ran = _run(environ | {"DATABASE_URL": "postgresql://vidprod@127.0.0.1:1/none"}, "doctor")
    assert ran.returncode == 1
    assert (
        "error    database: postgresql+psycopg://vidprod@127.0.0.1:1/none: the database server cannot be" in ran.stdout
    )


def test_a_migration_that_takes_long_is_not_ended(environ: dict[str, str]) -> None:
    """As the index of a large table. The alarm that ends the wait for a locked file has no handler here."""
    url = environ["DATABASE_URL"].replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as watching, psycopg.connect(url) as holding:
        holding.execute("SELECT pg_advisory_xact_lock(%s, 0)", [int(LockClass.EVERYTHING)])
        line = [sys.executable, "-m", "scripts.machine.migrate"]
        with subprocess.Popen(line, cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True) as migrating:
            waits = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            wait_for(lambda: watching.execute(waits).fetchone(), "the migration to wait")
            status = Path(f"/proc/{migrating.pid}/status").read_text()
            holding.rollback()
            _, errors = migrating.communicate(timeout=60)
    [caught] = re.findall(r"^SigCgt:\s+(\w+)$", status, re.MULTILINE)
    assert not int(caught, 16) >> (signal.SIGALRM - 1) & 1
    assert (migrating.returncode, errors) == (0, "")


def test_a_migration_without_a_server_ends_with_a_sentence(environ: dict[str, str]) -> None:
    ran = _run(environ | {"DATABASE_URL": "postgresql://vidprod@127.0.0.1:1/none"}, "migrate")
    assert ran.returncode == 1
    sentence = (
        "postgresql+psycopg://vidprod@127.0.0.1:1/none: the database server cannot be reached (connection failed: "
    )
    assert ran.stderr.startswith(sentence)
    assert ran.stderr.endswith("refused)\n")


@pytest.mark.parametrize(("command", "sentence"), [
    (["backup"], "no backup was made: the database is on a PostgreSQL server: make backups there"),
    (["restore", "FILE"], "not restored: the database is on a PostgreSQL server; restore it there"),
])  # fmt: skip
def test_backups_are_the_servers(environ: dict[str, str], tmp_path: Path, command: list[str], sentence: str) -> None:
    file = tmp_path / "backup"
    file.write_bytes(b"SQLite format 3\0" + bytes(4080))
    ran = _run(environ, *[str(file) if word == "FILE" else word for word in command])
    assert ran.returncode == 1
    assert sentence in ran.stderr


def test_a_machine_with_another_key_than_the_others_does_not_start(environ: dict[str, str]) -> None:
    """Each would encrypt tokens that the other cannot read. A key that was lost is replaced while all are stopped."""
    other = environ | {"SECRET_KEY": "another-secret-key-than-theirs"}
    refused = _run(other, "serve")
    assert refused.returncode == 1
    assert "SECRET_KEY is not that of the other machines that use this database" in refused.stderr
    assert "not started: other machines use the database with another SECRET_KEY" in refused.stderr
    assert _run(environ, "migrate").returncode == 0
    with psycopg.connect(environ["DATABASE_URL"].replace("+psycopg", "")) as connection:
        connection.execute("DELETE FROM marks WHERE name LIKE 'secret_key:%'")
    assert _run(other, "migrate").returncode == 0


def test_keys_are_listed(environ: dict[str, str]) -> None:
    assert _run(environ, "keys").returncode == 0


def test_sqlite_imports_nothing_of_postgresql(tmp_path: Path) -> None:
    """Neither the services nor the process that starts them: psycopg takes memory."""
    program = """
import sys
from actors import wiring
import api.app
from scripts.machine import preload, serve
preload.load()
wiring.machine.store.require_usable()
wiring.machine.broker.flush_all()
serve.MediaDemand(wiring.machine.settings)()
print([name for name in sys.modules if "psycopg" in name or "postgresql" in name])
"""
    environ = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path)}
    assert _run(environ, "migrate").returncode == 0
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )
    assert ran.stdout == "[]\n"
