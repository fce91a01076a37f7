"""Starts the publications that are due: order, upload windows, limits and the account allow them.

Called in the transaction of each part that becomes ready and each publication that ends; the tick of each minute
starts what has become due by time alone.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import groupby

from sqlalchemy import Connection

from actors.flow.events import emit, publication_data
from actors.flow.upload_windows import DAY, DEFAULTS, earliest_start
from actors.machine import Machine
from store import accounts, heartbeats, jobs, platform_states, publication_queue, publications, schedules
from store.accounts import Account
from store.publication_queue import QueuedPublication
from store.schedules import Schedule


def tick(machine: Machine) -> None:
    """Record the scheduler's heartbeat, and start the publications that are due."""
    with machine.store.writing() as connection:
        heartbeats.record(connection, "scheduler", machine.now(), machine.boot_time())
        start_due(machine, connection)


def start_due(machine: Machine, connection: Connection) -> None:
    """Start the publications that are due now, and store for the others when they will be."""
    paused = {state.platform for state in platform_states.list_out(connection) if state.is_paused(machine.now())}
    by_platform = {schedule.platform: schedule for schedule in schedules.list_all(connection)}
    queue = publication_queue.next_in_order(connection)
    queue.sort(key=lambda queued: queued.account_id)  # stable: the order on each account stays
    for account_id, candidates in groupby(queue, key=lambda queued: queued.account_id):
        account = accounts.get(connection, account_id)
        if account is not None and account.platform not in paused:
            schedule = by_platform.get(account.platform, DEFAULTS[account.platform])
            _start_next(machine, connection, account, schedule, list(candidates))


def _start_next(
    machine: Machine, connection: Connection, account: Account, schedule: Schedule, candidates: list[QueuedPublication]
) -> None:
    now = machine.now()
    gap = timedelta(seconds=schedule.min_gap_s)
    recent = publication_queue.recent_starts(connection, account.id, now - max(DAY, gap))
    for queued in candidates:
        due = earliest_start(schedule, recent, max(now, account.paused_until or now, queued.publish_after or now))
        if due <= now:
            if publication_queue.start(connection, queued.id, now):
                machine.send(f"publish_{queued.platform}", queued.id)
            return
        _store_due(machine, connection, queued, due)


def _store_due(machine: Machine, connection: Connection, queued: QueuedPublication, due: datetime) -> None:
    if not publication_queue.set_due(connection, queued.id, due):
        return
    publication = publications.get(connection, queued.id)
    job = jobs.get(connection, queued.job_id)
    if publication is not None and job is not None:
        emit(
            machine,
            connection,
            "publication.scheduled",
            job,
            due_at=due.isoformat(),
            **publication_data(publication, job),
        )
