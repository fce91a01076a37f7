"""Notices to the creator: recorded in the transaction of the change they report, sent a little later.

    event ─ on_event: a row per subject and kind ─(delay)─ send_notice: text, a delivery per receiver ─ deliver_notice

What happens to the same job within the delay joins the same notice, and a job has at most one notice of a kind in ten
minutes: 40 failed parts are one notice.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from loguru import logger
from sqlalchemy import Connection

from actors.flow import notice_delivery, notice_texts
from actors.machine import Machine
from store import notices, publications, push_subscriptions
from store.jobs import Job
from store.notices import TEST_SUBJECT, Notice
from store.states import NoticeKind

MERGE_DELAY = timedelta(seconds=20)
MIN_INTERVAL = timedelta(minutes=10)  # between two notices of a kind about the same subject
GRACE_PERIOD = timedelta(minutes=5)  # messages may wait behind others
ACTOR = "send_notice"

KINDS = {
    "job.review_needed": NoticeKind.NEEDS_YOU,
    "job.failed": NoticeKind.NEEDS_YOU,
    "publication.failed": NoticeKind.NEEDS_YOU,
    "publication.expired": NoticeKind.NEEDS_YOU,
    "publication.outcome_unknown": NoticeKind.NEEDS_YOU,
    "publication.action_needed": NoticeKind.NEEDS_YOU,
    "account.reconnect_needed": NoticeKind.NEEDS_YOU,
    "job.completed": NoticeKind.FINISHED,
}
"""The events of which the creator gets a notice, and its kind."""

_BY_PERSON = {"cancelled", publications.RESOLVED}  # codes of events that a person has caused just now


def on_event(
    machine: Machine, connection: Connection, owner_id: str, event: str, job: Job | None, facts: dict[str, Any]
) -> None:  # Any: JSON
    """Record a notice of an event to its owner, if it is one that creators get. Arguments as of `events.emit`."""
    kind = KINDS.get(event)
    if kind is not None and facts.get("code") not in _BY_PERSON:
        account_id = facts.get("account_id")
        subject = f"job:{job.id}" if job is not None else f"account:{account_id}"
        record(machine, connection, owner_id, subject, kind)


def record(machine: Machine, connection: Connection, owner_id: str, subject: str, kind: NoticeKind) -> None:
    """Record a notice in the open transaction, unless one about the same waits or nobody receives any.

    Args:
        machine: for its clock, ids and settings.
        connection: inside `store.writing()`.
        owner_id: of the subject, who gets it.
        subject: "job:ID" or "account:ID".
        kind: of the notice.
    """
    if not receivers(machine, connection, owner_id):
        return
    if kind is NoticeKind.FINISHED:
        notices.drop_waiting(connection, subject, NoticeKind.NEEDS_YOU)  # the later notice says that, too
    if notices.is_waiting(connection, owner_id, subject, kind):
        return
    now = machine.now()
    due_at = now + MERGE_DELAY
    last = notices.last_sent_at(connection, subject, kind)
    if last is not None and last <= now:  # else the clock was set back
        due_at = max(due_at, last + MIN_INTERVAL)
    _add(machine, connection, Notice(
        id=machine.new_id("ntc_"), owner_id=owner_id, subject=subject, kind=kind, created_at=now, due_at=due_at,
    ))  # fmt: skip


def record_test(machine: Machine, connection: Connection, owner_id: str) -> bool:
    """Record a notice that is sent at once to all receivers of an owner; False if there is none."""
    if not receivers(machine, connection, owner_id):
        return False
    now = machine.now()
    if not notices.is_waiting(connection, owner_id, TEST_SUBJECT, NoticeKind.TEST):
        _add(machine, connection, Notice(
            id=machine.new_id("ntc_"), owner_id=owner_id, subject=TEST_SUBJECT, kind=NoticeKind.TEST, created_at=now,
            due_at=now,
        ))  # fmt: skip
    return True


def _add(machine: Machine, connection: Connection, notice: Notice) -> None:
    notices.add(connection, notice)
    machine.send(ACTOR, notice.id, delay_s=(notice.due_at - machine.now()).total_seconds())


def receivers(machine: Machine, connection: Connection, owner_id: str) -> list[str]:
    """Return the targets of a notice to an owner: enabled subscriptions, and the addresses of NOTICE_URLS."""
    return [*push_subscriptions.enabled_ids(connection, owner_id), *notice_delivery.url_targets(machine, owner_id)]


def send(machine: Machine, notice_id: str) -> None:
    """Compose the text of a notice, and send a message for its delivery to each receiver."""
    now = machine.now()
    with machine.store.writing(scope="rows") as connection:
        notice = notices.get(connection, notice_id)
        if notice is None:
            return
        text = notice_texts.compose(connection, notice)
        if text is None:
            notices.drop(connection, notice_id)
            return
        if not notices.mark_sent(connection, notice_id, title=text.title, body=text.body, now=now):
            return
        for target in receivers(machine, connection, notice.owner_id):
            notice_delivery.add(machine, connection, notice_id, target)


def recover(machine: Machine, *, was_set_back: bool) -> None:
    """Send lost messages of notices and deliveries again. Without the write lock if all is well.

    Args:
        machine: for its store and clock.
        was_set_back: the clock was; nothing may be due later than now.
    """
    now = machine.now()
    latest = now if was_set_back else now + MIN_INTERVAL + GRACE_PERIOD
    with machine.store.reading() as connection:
        lost = notices.stalled(connection, before=now - GRACE_PERIOD, latest=latest)
    for notice in lost:
        with machine.store.writing(scope="rows") as connection:
            notices.set_due_at(connection, notice.id, now)
            machine.send(ACTOR, notice.id)
        logger.warning("Notice {}: was overdue, sent again", notice.id)
    notice_delivery.recover(machine, GRACE_PERIOD, was_set_back=was_set_back)
