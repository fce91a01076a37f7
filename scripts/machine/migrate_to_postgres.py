"""Move the state of a stopped machine from its SQLite file to a PostgreSQL database.

    scripts/migrate-to-postgres postgresql://USER:PASSWORD@HOST/DATABASE

The database must exist and be empty. All rows and all waiting messages are copied in one transaction, and each row is
read back and compared before it is committed. Then start the machine with DATABASE_URL. The SQLite file is kept under
another name, so that no machine can go on with it and publish a part for a second time. Videos stay where they are.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.machine import command
from scripts.machine.installation import MOVED, AlreadyRunning, Installation
from settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from actors.machine import Machine
    from store.postgresql import PostgresqlStore


class NotMoved(Exception):
    """Nothing was moved; the message says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 1 if nothing was moved."""
    parser = argparse.ArgumentParser(
        prog="scripts/migrate-to-postgres", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "url", nargs="?", metavar="URL", default=os.environ.pop("TARGET_DATABASE_URL", ""),
        help="of the empty database; by default TARGET_DATABASE_URL, which the list of processes does not show",
    )  # fmt: skip
    url = parser.parse_args(arguments).url.replace("postgresql+psycopg://", "postgresql://", 1)
    if not url.startswith("postgresql://"):
        parser.error("URL must be postgresql://USER:PASSWORD@HOST/DATABASE")
    try:
        return _move(command.prepare(), url)
    except (command.NotReady, AlreadyRunning, NotMoved) as error:
        return command.fail(f"not moved: {error}")
    except OSError as error:
        return command.fail(f"not moved: {command.described(error)}")


def _move(known: Settings, url: str) -> int:
    if known.database_path is None:
        raise NotMoved("DATABASE_URL names PostgreSQL already; this command needs the settings before the move")
    database = known.database_path.resolve()
    had_database = database.exists()
    installation = Installation(known.data_dir, database)  # creates a missing file
    try:
        if not had_database:
            database.unlink()
            raise NotMoved(f"there is no database {database}")
        began_s = time.monotonic()
        copied, kept = _copied(database, url)
        _print(known, copied, kept, time.monotonic() - began_s)
    finally:
        installation.release()
    return 0


def _copied(database: Path, url: str) -> tuple[dict[str, int], Path]:
    """Copy everything; return the numbers of rows by table, and the new name of the SQLite file."""
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415 (as below)

    from actors import logging_setup, wiring  # noqa: PLC0415 (opens files, so only after the change of user)
    from broker.postgresql import PostgresqlBroker, connect  # noqa: PLC0415 (psycopg is only needed here)
    from store.errors import StoreError  # noqa: PLC0415 (as above)
    from store.postgresql import PostgresqlStore  # noqa: PLC0415 (as above)

    machine = wiring.machine
    logging_setup.set_up(machine.settings.model_copy(update={"log_level": "WARNING"}))
    store = PostgresqlStore(
        url.replace("postgresql://", "postgresql+psycopg://", 1),
        connect=connect,
        joining=lambda _: nullcontext(),
        answer_timeout_s=math.inf,  # of a COMMIT of all rows
    )
    broker = PostgresqlBroker(url)
    try:
        machine.store.migrate()
        machine.broker.admin.queue_stats()  # migrates the tables of messages
        store.migrate()
        broker.admin.queue_stats()
        return _copy(machine, store, database)
    except StoreError as error:
        raise NotMoved(str(error)) from error
    except DBAPIError as error:
        raise NotMoved(f"the server refuses a row: {' '.join(str(error.orig).split())}") from error
    finally:
        broker.close()
        store.close()


def _copy(machine: Machine, store: PostgresqlStore, database: Path) -> tuple[dict[str, int], Path]:
    from broker.postgresql.sqlite_import import QueueNotEmpty, import_queue  # noqa: PLC0415 (as in `_copied`)
    from store import backup, copying, row_counts  # noqa: PLC0415 (as in `_copied`)
    from store.errors import CommitUnclear  # noqa: PLC0415 (as in `_copied`)

    kept = database.with_name(f"{database.name}{MOVED}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    try:
        with store.writing(scope="everything") as target:
            with machine.store.reading() as source:
                copied = copying.copy_rows(source, target)
                messages = import_queue(_driver(source), _driver(target), time.time_ns() // 10**6)
                copying.require_equal(source, target)
                row_counts.compact(target)
            machine.broker.close()
            machine.store.close()
            backup.checkpoint(database)  # its log is deleted: a file under another name would be without it
            database.rename(kept)
            backup.sync(database.parent)
    except (copying.NotEmpty, copying.RowsDiffer, QueueNotEmpty) as error:
        raise NotMoved(f"the database at the URL cannot be used: {error}") from error
    except CommitUnclear as error:
        raise NotMoved(
            f"{error}. If the database at the URL has rows, all was moved. Else rename {kept} to {database.name}"
        ) from error
    except BaseException:
        if kept.exists() and not database.exists():  # the last step, the COMMIT, has failed
            kept.rename(database)
        raise
    return copied | messages, kept


def _driver(connection: Connection) -> Any:  # Any: of sqlite3 or psycopg
    return connection.connection.driver_connection


def _print(known: Settings, copied: dict[str, int], kept: Path, seconds: float) -> None:
    for table, rows in sorted(copied.items()):
        if rows:
            print(f"{table:24} {rows:>10}")
    print(f"Copied and compared {sum(copied.values())} rows in {seconds:.1f} seconds.")
    print(f"The SQLite file is kept as {kept}; delete it when you do not need it any more.")
    print("Start the machine now, with the settings that it had, and with:")
    print("    DATABASE_URL=postgresql+psycopg://…   the database of this command")
    if not known.api_keys:
        print("    API_KEYS=…                            a key for all machines; stored keys stay valid")
    if known.secret_key is None:
        print(f"    SECRET_KEY=…                          the content of {known.data_dir / 'secret.key'}")


if __name__ == "__main__":
    sys.exit(main())
