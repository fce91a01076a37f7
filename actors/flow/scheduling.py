"""Starts the publications that are due: order, upload windows, limits and the account allow them.

Called in the transaction of each part that becomes ready and each publication that ends. What becomes due by time alone
is started by a delayed message; the tick of each minute is for messages that were lost. A transaction that has not
locked an account sends `start_publications` for it, whose transaction has.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from actors import shared_key
from actors.flow import account_schedules, platform_limits
from actors.flow.events import emit, emit_for_publication, publication_data
from actors.flow.turns import Pauses, PostingLimits, counted_since, decide, past_starts
from actors.machine import Machine
from store import heartbeats, jobs, platform_states, publication_queue, publications
from store.accounts import Account
from store.publication_queue import QueuedPublication
from store.schedules import Schedule
from store.scope import covers_account

AFTER_DUE_S = 0.01  # a message that comes before its time starts nothing


def tick(machine: Machine) -> None:
    """Record the scheduler's heartbeat, and start the publications that are due."""
    with machine.store.writing(scope="rows") as connection:
        heartbeats.record(connection, "scheduler", machine.now(), machine.boot_time())
        if machine.settings.is_postgresql:
            shared_key.record(machine, connection)
        start_due(machine, connection)


def start_due_on(machine: Machine, account_id: str) -> None:
    """Start the publication that is due on an account, if there is one."""
    with machine.store.writing(accounts=[account_id]) as connection:
        start_due(machine, connection, account_id)


def start_due(machine: Machine, connection: Connection, account_id: str | None = None) -> None:
    """Start the publications that are due now, and store when the next ones will be: on all accounts, or on one."""
    known = account_schedules.read(connection)
    outages = {state.platform: state.paused_until for state in platform_states.list_out(connection)}
    for account in publication_queue.idle_accounts(connection, account_id):
        _start_next(machine, connection, account, known.of(account), outages.get(account.platform))


def _start_next(
    machine: Machine, connection: Connection, account: Account, schedule: Schedule, outage_until: datetime | None
) -> None:
    """Start the next publication of an account, or store its time; by a message if it is not in the scope."""
    now = machine.now()
    is_covered = covers_account(connection, account.id)
    limits = limits_of(connection, account, schedule, outage_until, now)
    for turn in decide(limits, publication_queue.next_in_order(connection, account.id)):
        queued = turn.candidate
        is_due = turn.slot.at <= now
        if not is_covered and (is_due or queued.due_at != turn.slot.at):
            machine.send("start_publications", account.id)
            return
        if is_due:
            if publication_queue.start(connection, queued.id, now):
                machine.send(f"publish_{queued.platform}", queued.id)
                _emit_started(machine, connection, queued)
            return
        _store_due(machine, connection, queued, turn.slot.at)


def limits_of(
    connection: Connection, account: Account, schedule: Schedule, outage_until: datetime | None, now: datetime
) -> PostingLimits:
    """Return what limits the next post of an account."""
    starts = publication_queue.recent_starts(connection, account.id, counted_since(schedule, now))
    known = platform_limits.of(connection, account, now)
    return PostingLimits(
        schedule=schedule,
        recent=past_starts(starts, now),
        pauses=Pauses(account.paused_until, outage_until),
        now=now,
        post_limit=None if known is None else known.limit,
    )


def _store_due(machine: Machine, connection: Connection, queued: QueuedPublication, due: datetime) -> None:
    if queued.due_at == due or not publication_queue.set_due(connection, queued.id, due):
        return
    delay_s = (due - machine.now()).total_seconds() + AFTER_DUE_S
    machine.send("start_publications", queued.account_id, delay_s=delay_s)
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


def _emit_started(machine: Machine, connection: Connection, queued: QueuedPublication) -> None:
    publication = publications.get(connection, queued.id)
    job = jobs.get(connection, queued.job_id)
    if publication is not None and job is not None:
        emit_for_publication(machine, connection, "publication.started", publication, job)
