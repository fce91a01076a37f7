"""Notices to the creator, and the deliveries of each to its receivers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, or_, select, update

from store import row_counts, rows
from store.states import DeliveryStatus, NoticeKind, NoticeStatus
from store.tables import notice_deliveries as deliveries
from store.tables import notices

TEST_SUBJECT = "test"


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A notice. Columns are explained in `store.tables`."""

    id: str
    owner_id: str
    subject: str
    kind: NoticeKind
    created_at: datetime
    due_at: datetime
    status: NoticeStatus = NoticeStatus.WAITING
    sent_at: datetime | None = None
    title: str | None = None
    body: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", NoticeKind(self.kind))
        object.__setattr__(self, "status", NoticeStatus(self.status))

    @property
    def job_id(self) -> str | None:
        """The id of the job that the notice is about, if it is about one."""
        return self.subject.removeprefix("job:") if self.subject.startswith("job:") else None

    @property
    def account_id(self) -> str | None:
        """The id of the account that the notice is about, if it is about one."""
        return self.subject.removeprefix("account:") if self.subject.startswith("account:") else None


@dataclass(frozen=True, kw_only=True)
class NoticeDelivery:
    """The delivery of one notice to one receiver. Columns are explained in `store.tables`."""

    id: str
    notice_id: str
    target: str
    status: DeliveryStatus = DeliveryStatus.WAITING
    tries: int = 0
    next_at: datetime | None = None
    ended_at: datetime | None = None
    error: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", DeliveryStatus(self.status))


def add(connection: Connection, notice: Notice) -> None:
    """Insert a notice."""
    connection.execute(notices.insert().values(**{n: getattr(notice, n) for n in Notice.__dataclass_fields__}))


def get(connection: Connection, notice_id: str) -> Notice | None:
    """Return a notice, or None."""
    return rows.fetch_one(connection, select(notices).where(notices.c.id == notice_id), Notice)


def is_waiting(connection: Connection, owner_id: str, subject: str, kind: NoticeKind) -> bool:
    """Return whether a notice to an owner, of a kind about a subject, waits for its time."""
    query = select(notices.c.id).where(
        notices.c.subject == subject, notices.c.kind == kind, notices.c.status == NoticeStatus.WAITING,
        notices.c.owner_id == owner_id,
    )  # fmt: skip
    return connection.scalar(query.limit(1)) is not None


def last_sent_at(connection: Connection, subject: str, kind: NoticeKind) -> datetime | None:
    """Return when the last notice of a kind about a subject was sent."""
    query = select(notices.c.sent_at).where(
        notices.c.subject == subject, notices.c.kind == kind, notices.c.status == NoticeStatus.SENT
    )
    return connection.scalar(query.order_by(notices.c.sent_at.desc()).limit(1))


def drop_waiting(connection: Connection, subject: str, kind: NoticeKind) -> None:
    """Drop the notice of a kind about a subject that waits for its time."""
    change = update(notices).where(
        notices.c.subject == subject, notices.c.kind == kind, notices.c.status == NoticeStatus.WAITING
    )
    connection.execute(change.values(status=NoticeStatus.DROPPED))


def drop(connection: Connection, notice_id: str) -> None:
    """Drop a notice that waits for its time."""
    change = update(notices).where(notices.c.id == notice_id, notices.c.status == NoticeStatus.WAITING)
    connection.execute(change.values(status=NoticeStatus.DROPPED))


def mark_sent(connection: Connection, notice_id: str, *, title: str, body: str, now: datetime) -> bool:
    """Record the text of a notice that is sent now; False if it does not wait."""
    change = update(notices).where(notices.c.id == notice_id, notices.c.status == NoticeStatus.WAITING)
    values = {"status": NoticeStatus.SENT, "sent_at": now, "title": title, "body": body}
    return connection.execute(change.values(**values)).rowcount == 1


def set_due_at(connection: Connection, notice_id: str, due_at: datetime) -> None:
    """Change when a notice is sent."""
    connection.execute(update(notices).where(notices.c.id == notice_id).values(due_at=due_at))


def stalled(connection: Connection, *, before: datetime, latest: datetime) -> list[Notice]:
    """Return waiting notices that were due before a time, or are due after the latest possible one."""
    query = select(notices).where(
        notices.c.status == NoticeStatus.WAITING, or_(notices.c.due_at < before, notices.c.due_at > latest)
    )
    return rows.fetch_all(connection, query, Notice)


def add_delivery(connection: Connection, delivery: NoticeDelivery) -> None:
    """Insert a delivery."""
    values = {name: getattr(delivery, name) for name in NoticeDelivery.__dataclass_fields__}
    connection.execute(deliveries.insert().values(**values))


def get_delivery(connection: Connection, delivery_id: str) -> NoticeDelivery | None:
    """Return a delivery, or None."""
    return rows.fetch_one(connection, select(deliveries).where(deliveries.c.id == delivery_id), NoticeDelivery)


def deliveries_of(connection: Connection, notice_id: str) -> list[NoticeDelivery]:
    """Return the deliveries of a notice."""
    return rows.fetch_all(connection, select(deliveries).where(deliveries.c.notice_id == notice_id), NoticeDelivery)


def begin_attempt(connection: Connection, delivery_id: str, *, tries: int, overdue_at: datetime) -> bool:
    """Count an attempt before it is made; False if another run has begun it, or the delivery has ended.

    Args:
        connection: inside `store.writing()`.
        delivery_id: of the delivery.
        tries: number of the attempts before.
        overdue_at: when the attempt has certainly ended, unless its process was lost.
    """
    change = update(deliveries).where(
        deliveries.c.id == delivery_id, deliveries.c.status == DeliveryStatus.WAITING, deliveries.c.tries == tries
    )
    return connection.execute(change.values(tries=tries + 1, next_at=overdue_at)).rowcount == 1


def postpone(connection: Connection, delivery_id: str, *, tries: int, error: str | None, next_at: datetime) -> bool:
    """Record a failed attempt that is repeated; False if the delivery has changed."""
    change = update(deliveries).where(
        deliveries.c.id == delivery_id, deliveries.c.status == DeliveryStatus.WAITING, deliveries.c.tries == tries
    )
    return connection.execute(change.values(error=error, next_at=next_at)).rowcount == 1


def end_delivery(connection: Connection, delivery_id: str, *, error: str | None, now: datetime) -> bool:
    """End a delivery: delivered, or failed with an error; False if it has ended."""
    change = update(deliveries).where(deliveries.c.id == delivery_id, deliveries.c.status == DeliveryStatus.WAITING)
    status = DeliveryStatus.DELIVERED if error is None else DeliveryStatus.FAILED
    values = {"status": status, "error": error, "next_at": None, "ended_at": now}
    return connection.execute(change.values(**values)).rowcount == 1


def stalled_deliveries(connection: Connection, *, before: datetime, latest: datetime) -> list[NoticeDelivery]:
    """Return waiting deliveries that were due before a time, or are due after the latest possible one."""
    query = select(deliveries).where(
        deliveries.c.status == DeliveryStatus.WAITING, or_(deliveries.c.next_at < before, deliveries.c.next_at > latest)
    )
    return rows.fetch_all(connection, query, NoticeDelivery)


def last_ended(connection: Connection, target: str) -> NoticeDelivery | None:
    """Return the newest delivery to a receiver that has ended, or None."""
    query = select(deliveries).where(deliveries.c.target == target, deliveries.c.ended_at.is_not(None))
    return rows.fetch_one(connection, query.order_by(deliveries.c.ended_at.desc()).limit(1), NoticeDelivery)


def purge(connection: Connection, before: datetime) -> None:
    """Delete notices from before a time, with their deliveries."""
    old = select(notices.c.id).where(notices.c.created_at < before)
    connection.execute(deliveries.delete().where(deliveries.c.notice_id.in_(old)))
    connection.execute(notices.delete().where(notices.c.created_at < before))


def count_by_status(connection: Connection) -> dict[str, int]:
    """Return how many deliveries of notices are in each state."""
    return row_counts.by_status(connection, deliveries)


def oldest_due_at(connection: Connection) -> datetime | None:
    """Return the earliest time at which a waiting delivery of a notice is or was due, or None."""
    query = select(func.min(deliveries.c.next_at)).where(deliveries.c.status == DeliveryStatus.WAITING)
    found: datetime | None = connection.scalar(query)
    return found
