"""Measure what the scheduler costs inside a write transaction while very many publications wait.

Each figure is the CPU time of one call in an open transaction, which is then rolled back.
"""

import argparse
import contextlib
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dramatiq
from sqlalchemy import Connection, Table, update

import settings as environment
from actors import databases
from actors.disk import Disk
from actors.flow import holding
from actors.flow.completion import close_finished
from actors.flow.scheduling import start_due
from actors.machine import Machine
from files.local import LocalFiles
from platforms import registry
from scripts.benchmarks.summary.row import Line, Row
from store import Sealer, accounts, publication_queue, publications, segments, steps, tables
from store.accounts import Account
from store.owners import DEFAULT_OWNER
from store.states import AccountStatus, JobStatus, PublicationStatus, SegmentStatus

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ROWS_PER_INSERT = 10_000
PLATFORM = "tiktok"
SHORT_MANY, SHORT_FEW = 20_000, 200  # for the table of all benchmarks
Prepared = Callable[[Machine, Connection], None]
Change = Callable[[Machine, Connection], Prepared | None]  # returns the call that is measured, if not itself


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line a call."""
    parser = argparse.ArgumentParser(prog="scripts/bench scheduler", description=__doc__)
    parser.add_argument("--accounts", type=int, default=3, help="number of accounts (3)")
    parser.add_argument("--waiting", type=int, default=100_000, help="publications that wait on each account (100000)")
    parser.add_argument("--parts", type=int, default=100, help="parts of each job (100)")
    parser.add_argument("--runs", type=int, default=20, help="runs of each call (20)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory:
        machine = _machine(Path(directory))
        _fill(machine, options.accounts, options.waiting, options.parts)
        print(
            f"{options.accounts} accounts with {options.waiting} waiting publications each, {options.parts} parts a job"
        )
        for title, change in _changes(options.parts):
            times_ms = _times_ms(machine, change, options.runs)
            print(f"{title}: median {statistics.median(times_ms):.2f} ms of CPU, longest {max(times_ms):.2f} ms")
        machine.broker.close()


def rows(folder: Path) -> Iterator[Line]:
    """Compare the cost with many waiting publications to the cost with few."""
    accounts, parts = 3, 50
    found = []
    for waiting in (SHORT_MANY, SHORT_FEW):
        (folder / str(waiting)).mkdir()
        machine = _machine(folder / str(waiting))
        _fill(machine, accounts, waiting, parts)
        found.append([statistics.median(_times_ms(machine, change, 10)) for _, change in _changes(parts)[:3]])
        machine.broker.close()
    for (title, _), many_ms, few_ms in zip(_changes(parts), *found, strict=False):
        what = f"{title}, {SHORT_MANY:,} waiting on each of {accounts}: CPU"
        yield Row(what, many_ms, "ms", f"VidProd with {SHORT_FEW:,} waiting", few_ms)


class _Measured(Exception):
    """The call has been measured."""


def _machine(directory: Path) -> Machine:
    chosen = environment.read({"DATA_DIR": str(directory)})
    broker = databases.open_broker(chosen)
    store = databases.open_store(chosen, broker)
    store.migrate()
    for name in (f"publish_{PLATFORM}", "start_publications", "delete_files", "dispatch_webhook"):
        dramatiq.actor(broker=broker, actor_name=name, queue_name="network")(_do_nothing)
    return Machine(
        settings=chosen,
        store=store,
        broker=broker,
        sealer=Sealer("benchmark"),
        hosts=chosen.platform_roots,
        disk=Disk(directory),
        files=LocalFiles(directory),
        publisher=lambda platform: registry.publisher(platform, chosen.platform_roots),
        now=lambda: NOW,
    )


def _do_nothing() -> None: ...


def _fill(machine: Machine, account_count: int, waiting: int, parts: int) -> None:
    account_ids = [f"acc_{number}" for number in range(account_count)]
    job_count = waiting // parts
    with machine.store.writing(scope="everything") as connection:
        for account_id in account_ids:
            accounts.connect(connection, _account(account_id))
        _insert(connection, tables.jobs, map(_job, range(job_count)))
        _insert(connection, tables.job_segments, (_part(job, n) for job in range(job_count) for n in range(parts)))
        posts = (_post(job, n, a) for job in range(job_count) for n in range(parts) for a in account_ids)
        _insert(connection, tables.publications, posts)


def _insert(connection: Connection, table: Table, values: Iterator[dict[str, Any]]) -> None:  # Any: columns
    while rows := list(itertools.islice(values, ROWS_PER_INSERT)):
        connection.execute(table.insert(), rows)


def _account(account_id: str) -> Account:
    return Account(
            owner_id=DEFAULT_OWNER,
        id=account_id, platform=PLATFORM, variant=PLATFORM, remote_id=account_id, name=account_id,
        status=AccountStatus.CONNECTED, tokens=b"", expires_at=None, refresh_at=None, refresh_expires_at=None,
        created_at=NOW,
    )  # fmt: skip


def _job(number: int) -> dict[str, Any]:  # Any: columns
    created_at = NOW - timedelta(days=10) + timedelta(seconds=number)
    return {
        "id": f"job_{number:06}", "status": JobStatus.PUBLISHING, "video_path": "", "created_at": created_at,
        "gaze_intensity": 0.8, "segment_seconds": 60.0, "segment_count": 1,
    }  # fmt: skip


def _part(job: int, number: int) -> dict[str, Any]:  # Any: columns
    return {
        "id": f"seg_{job:06}_{number:04}", "job_id": f"job_{job:06}", "segment_number": number + 1, "file_path": "",
        "status": SegmentStatus.READY, "start_s": 0.0, "span": {}, "cut_reason": "pause",
        "gaze": {"text": "of usual length " * 60},
    }  # fmt: skip


def _post(job: int, number: int, account_id: str) -> dict[str, Any]:  # Any: columns
    return {
        "id": f"pub_{job:06}_{number:04}_{account_id}", "job_id": f"job_{job:06}",
        "segment_id": f"seg_{job:06}_{number:04}", "segment_number": number + 1, "platform": PLATFORM,
        "account_id": account_id, "status": PublicationStatus.WAITING, "created_at": NOW,
        "job_order": f"job_{job:06}",
    }  # fmt: skip


def _changes(parts: int) -> list[tuple[str, Change]]:
    return [
        ("find the next publication of each account", _find),
        ("start the next publication of each account", start_due),
        ("store the time of the next publication of each account", _start_later),
        (f"close what is finished of a job of {parts} parts, one published", _close_one),
        (f"update the holds of a job of {parts} parts, none held", _update_holds),
        (f"hold the parts after the first of {parts}, which failed", _hold),
        (f"update the holds of a job of {parts} parts, all but the first held", _update_all_held),
        ("find overdue work", _find_overdue),
    ]


def _find(machine: Machine, connection: Connection) -> None:
    del machine
    for account in publication_queue.idle_accounts(connection):
        next(publication_queue.next_in_order(connection, account.id))


def _start_later(machine: Machine, connection: Connection) -> None:
    """The accounts are paused: nothing may start, and the next times are stored."""
    later = NOW + timedelta(hours=1)
    connection.execute(update(tables.accounts).values(paused_until=later))
    start_due(replace(machine, now=lambda: NOW), connection)


def _close_one(machine: Machine, connection: Connection) -> None:
    posts = tables.publications.c
    change = update(tables.publications).where(posts.job_id == "job_000000", posts.segment_number == 1)
    connection.execute(change.values(status=PublicationStatus.PUBLISHED))
    close_finished(machine, connection, "job_000000")


def _update_holds(machine: Machine, connection: Connection) -> None:
    holding.update(machine, connection, "job_000000")


def _hold(machine: Machine, connection: Connection) -> None:
    _fail_first(connection)
    holding.update(machine, connection, "job_000000")


def _update_all_held(machine: Machine, connection: Connection) -> Prepared:
    _hold(machine, connection)
    return _update_holds


def _find_overdue(machine: Machine, connection: Connection) -> None:
    """Nothing is overdue, as usual."""
    del machine
    before, latest = NOW - timedelta(days=60), NOW + timedelta(days=60)
    assert steps.stalled(connection, next_before=before, next_after=latest, held_before=before) == []
    assert publications.open_created_before(connection, before) == []
    assert segments.rendering_started_before(connection, before) == []
    assert segments.clear_retries_after(connection, NOW) == []


def _fail_first(connection: Connection) -> None:
    posts = tables.publications.c
    change = update(tables.publications).where(posts.job_id == "job_000000", posts.segment_number == 1)
    connection.execute(change.values(status=PublicationStatus.FAILED, code="refused", reason="refused"))


def _times_ms(machine: Machine, change: Change, runs: int) -> list[float]:
    """Return the CPU time of each run."""
    times_ms = []
    for _ in range(runs):
        with contextlib.suppress(_Measured), machine.store.writing(scope="everything") as connection:
            began = time.thread_time()
            if (prepared := change(machine, connection)) is not None:
                began = time.thread_time()
                prepared(machine, connection)
            times_ms.append(1000 * (time.thread_time() - began))
            raise _Measured  # rolls the transaction back
    return times_ms


if __name__ == "__main__":
    main()
