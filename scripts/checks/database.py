"""Checks of the database: whole, of this version, not locked by others; and what in it waits for a person."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from actors import databases, sealed_rows
from actors.recovery import backups
from broker import MessageBroker, WriteLock
from broker.storage.lock_file import read_holder
from scripts.checks import clock, platforms
from scripts.checks.finding import Examined, Finding, Level, error, ok, warning
from settings import SHORTEST_SECRET
from store import DatabaseUnavailable, Sealer, Store, accounts, endpoints, heartbeats, platform_states
from store.boot_clock import boot_time
from store.connection import SCHEMA_VERSION_QUERY, known_versions
from store.database_file import connect
from store.errors import file_problem
from store.states import EndpointState

CHECK_WITHIN_S = 60.0
LARGE_LOG_BYTES = 64 * 2**20
LOCK_LOOKS, LOOK_INTERVAL_S = 5, 0.5
WRITE_LOCK_BYTE = 120  # of the shared memory: WAL_WRITE_LOCK (sqlite.org/walformat.html, section 2.3.1)
LOCKS = Path("/proc/locks")
TOPIC, KEY = "database", "secret key"


def check(examined: Examined) -> Iterator[Finding]:
    """Check the database, and what it contains."""
    path = examined.settings.database_path
    yield from _server(examined) if path is None else _database_file(examined, path.resolve())


def _server(examined: Examined) -> Iterator[Finding]:
    """Check a database of PostgreSQL: reached, writable, of this version."""
    with _opened(examined) as (store, broker):
        try:
            store.require_usable()
        except DatabaseUnavailable as wrong:
            if wrong.reason == "not_migrated":
                yield warning(TOPIC, f"{store.name}: {wrong.sentence}", "start the machine, which migrates them")
            else:
                yield error(TOPIC, f"{store.name}: {wrong.sentence}", "check DATABASE_URL, the network and the server")
            return
        yield ok(TOPIC, f"{store.name} can be written; its tables have version {known_versions()[-1]}")
        yield from _content(examined, store, broker)


def _database_file(examined: Examined, path: Path) -> Iterator[Finding]:
    wrong = file_problem(path)
    if wrong is not None and wrong.reason == "missing" and not examined.is_running:
        yield ok(TOPIC, f"{path} does not exist yet; the first start creates it")
        return
    if wrong is not None:
        yield error(TOPIC, f"{path}: {wrong.sentence}", "see the section about backups in the README")
        return
    whole = _file(path)
    yield whole
    yield from _log(path)
    usable = _version(path)
    yield usable
    writers = _writers(path)
    yield writers
    if {whole.level, usable.level, writers.level} == {Level.OK}:
        with _opened(examined) as (store, broker):
            yield from _content(examined, store, broker)


@contextmanager
def _opened(examined: Examined) -> Iterator[tuple[Store, MessageBroker]]:
    broker = databases.open_broker(examined.settings)
    store = databases.open_store(examined.settings, broker)
    try:
        yield store, broker
    finally:
        broker.close()
        store.close()


def _file(path: Path) -> Finding:
    deadline_s = time.monotonic() + CHECK_WITHIN_S
    try:
        with closing(connect(path)) as connection:
            connection.set_progress_handler(lambda: time.monotonic() > deadline_s, 10_000)
            [found] = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as failed:
        found = str(failed)
    size = f"{path.stat().st_size / 1e6:.1f} MB"
    if found == "interrupted":
        return ok(TOPIC, f"{path}, {size}; not checked to its end within {CHECK_WITHIN_S:.0f} s")
    if found != "ok":
        return error(TOPIC, f"{path} is damaged: {' '.join(found.split())}", "restore a backup: scripts/restore FILE")
    return ok(TOPIC, f"{path}, {size}, is whole")


def _log(path: Path) -> Iterator[Finding]:
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and log.stat().st_size > LARGE_LOG_BYTES:
        fix = "find the program that has had the database open for long (such as an SQLite browser), and end it"
        yield warning(TOPIC, f"its log has grown to {log.stat().st_size / 1e6:.0f} MB", fix)


def _version(path: Path) -> Finding:
    known = known_versions()
    try:
        with closing(connect(path)) as connection:
            found = connection.execute(SCHEMA_VERSION_QUERY).fetchone()
    except sqlite3.Error as failed:
        if "no such table" not in str(failed):
            return error(TOPIC, f"it cannot be read: {failed}", "restore a backup: scripts/restore FILE")
        found = None
    if found is None:
        return warning(TOPIC, "it has no tables of VidProd", "start the machine, which creates them")
    if found[0] not in known:
        return error(TOPIC, f"its tables have version {found[0][:20]}, newer than this program", "install that version")
    if found[0] != known[-1]:
        text = f"its tables have version {found[0]}; this program's is {known[-1]}"
        return warning(TOPIC, text, "start the machine, which migrates them")
    return ok(TOPIC, f"its tables have version {found[0]}")


def _writers(path: Path) -> Finding:
    """Check that nobody holds a lock all the time: neither VidProd's own nor that of SQLite."""
    holders = []
    for look in range(LOCK_LOOKS):
        if look:
            time.sleep(LOOK_INTERVAL_S)
        own = read_holder(WriteLock.file_of(path))
        foreign = sqlite_writer(path)
        if own is None and foreign is None:
            return ok(TOPIC, "no process keeps it locked")
        holders.append(str(own) if own is not None else f"process {foreign} ({_program(foreign)})")
    return error(TOPIC, f"it is kept locked by {holders[-1]}", "end that process, or its transaction")


def sqlite_writer(path: Path, locks: Path = LOCKS) -> int | None:
    """Return the process that has a transaction open that writes, by the kernel's list of locks; None if unknown."""
    try:
        inode = path.with_name(f"{path.name}-shm").stat().st_ino
        lines = locks.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        fields = line.split()  # "1: POSIX  ADVISORY  WRITE 4711 08:01:131090 120 120"
        if len(fields) != 8 or fields[1] not in {"POSIX", "OFDLCK"} or fields[3] != "WRITE":
            continue
        if int(fields[5].split(":")[2]) == inode and int(fields[6]) <= WRITE_LOCK_BYTE <= _end(fields[7]):
            return int(fields[4])
    return None


def _end(field: str) -> int:
    return 2**63 if field == "EOF" else int(field)


def _program(pid: int | None) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    except OSError:
        return "unknown"


def _content(examined: Examined, store: Store, broker: MessageBroker) -> Iterator[Finding]:
    now = datetime.now(UTC)
    yield from _key(examined, store)
    with store.reading() as connection:
        connected = accounts.list_all(connection)
        in_trouble = endpoints.in_trouble(connection, None)
        last = heartbeats.read(connection, "scheduler")
        outages = [state.platform for state in platform_states.list_out(connection)]
        backup_age_s = heartbeats.age_s(connection, backups.HEARTBEAT, now, boot_time())
    yield clock.jump(last, now)
    if examined.is_valid:
        yield from platforms.check_accounts(connected, examined.settings, now)
    for platform in outages:
        yield warning(platform, "it is paused after failures in a row", "wait; the page and /health show it")
    disabled = [endpoint.id for endpoint in in_trouble if endpoint.state is EndpointState.DISABLED]
    yield _counted("webhooks", len(disabled), "disabled", f"see GET /webhooks: {', '.join(disabled[:10])}")
    letters = len(broker.admin.dead_letters(limit=1000))
    yield _counted("dead letters", letters, "to be retried", "list them: scripts/retry")
    if not examined.settings.is_postgresql:
        yield _backup(examined, backup_age_s)


def _counted(topic: str, count: int, what: str, fix: str) -> Finding:
    return warning(topic, f"{count} {what}", fix) if count else ok(topic, f"none {what}")


def _key(examined: Examined, store: Store) -> Iterator[Finding]:
    own = examined.settings.secret_key
    file = examined.settings.data_dir / "secret.key"
    if own is None and not file.exists():
        yield ok(KEY, "none yet; the first start generates one")
        return
    key = own.get_secret_value() if own is not None else file.read_text().strip()
    if len(key) < SHORTEST_SECRET:
        yield error(KEY, f"{file} contains no secret", "put the previous one back, or delete the file")
        return
    found = sealed_rows.find(store, Sealer(key))
    if found:
        yield error(KEY, found.message(), "see there")
    else:
        yield ok(KEY, f"opens everything in the database; it is {'set' if own is not None else f'in {file}'}")
    if own is not None and file.exists():
        yield warning(KEY, f"{file} is not used, because SECRET_KEY is set", "delete it if it is not needed")


def _backup(examined: Examined, age_s: float | None) -> Finding:
    hours = examined.settings.backup_hours
    if age_s is None:
        return warning("backup", "none was made yet", "run scripts/backup")
    text = f"the last one is {age_s / 3600:.1f} hours old"
    if examined.settings.backup_dir is not None and age_s > 1.5 * hours * 3600:
        return warning("backup", f"{text}, one is due each {hours:g} hours", "the log says why it was not made")
    return ok("backup", text)
