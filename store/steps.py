"""The steps of a publication: claims, and the records before and after each step.

The identifiers of the remote operation are stored before the next byte is sent.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Update, and_, case, or_, select, update

from store import rows
from store.partial_indexes import is_under_way
from store.publications import Publication, get
from store.states import PUBLICATION_SUCCEEDED, AccountStatus, PublicationStatus
from store.tables import accounts, publications


def claim(
    connection: Connection, publication_id: str, message_id: str, nonce: str, *, now: datetime, until: datetime
) -> Publication | None:
    """Claim the current step; None if the publication is over or another worker has claimed the step.

    The holder is "message id/nonce". The broker delivers a message again only when the process that had it is dead or
    frozen, so a holder with the same message id is an earlier attempt of this message. The nonce distinguishes the
    attempts: an earlier one that continues later records nothing.

    Returns:
        The publication as it was before: a `holder` in it, or `unclear`, says that this very step was begun and its
        answer is not known.
    """
    holder = f"{message_id}/{nonce}"
    found = get(connection, publication_id)
    if found is None or found.status is not PublicationStatus.PUBLISHING:
        return None
    expired = found.holder_until is not None and found.holder_until < now
    if found.holder is not None and not expired and not found.holder.startswith(f"{message_id}/"):
        return None
    change = update(publications).where(publications.c.id == publication_id)
    connection.execute(change.values(holder=holder, holder_until=until))
    return found


def record_first_step(connection: Connection, publication_id: str, holder: str, *, step: str, handle: bytes) -> bool:
    """Store the first step before it runs; False if the claim is no longer current."""
    return connection.execute(_claimed(publication_id, holder).values(step=step, handle=handle)).rowcount == 1


def advance(
    connection: Connection,
    publication_id: str,
    holder: str,
    *,
    step: str,
    handle: bytes,
    next_at: datetime,
    keeps_failures: bool = False,
) -> bool:
    """Store the next step and release the claim; False if the claim is no longer current.

    Args:
        connection: inside `Store.writing`.
        publication_id: of the publication.
        holder: of the claim.
        step: the next one.
        handle: its encrypted facts.
        next_at: when it is due.
        keeps_failures: the step has only asked and is to be run again; the failures before still count.
    """
    values: dict[str, Any] = {  # Any: as many types as columns
        "step": step, "handle": handle, "unclear": False, "holder": None, "holder_until": None, "next_at": next_at,
    }  # fmt: skip
    if not keeps_failures:
        values |= {"tries": 0, "troubled_since": None, **_why(None, None)}
    return connection.execute(_claimed(publication_id, holder).values(**values)).rowcount == 1


def start_over(
    connection: Connection,
    publication_id: str,
    holder: str,
    *,
    step: str,
    handle: bytes,
    attempts: list[dict[str, Any]],  # Any: JSON
    next_at: datetime,
    code: str,
    reason: str,
) -> bool:
    """Store the first handle of a new job at the platform; False if the claim is no longer current.

    Args:
        connection: inside `Store.writing`.
        publication_id: of the publication.
        holder: of the claim.
        step: first step of the new job.
        handle: encrypted facts of the new job.
        attempts: failed ones, with this one.
        next_at: when its first step is due.
        code: why the job before ended, for programs.
        reason: the same, for people.
    """
    values = {
        "step": step, "handle": handle, "tries": 0, "unclear": False, "holder": None, "holder_until": None,
        "next_at": next_at, "troubled_since": None, "attempts": attempts, **_why(code, reason),
    }  # fmt: skip
    return connection.execute(_claimed(publication_id, holder).values(**values)).rowcount == 1


def record_failed_step(
    connection: Connection,
    publication_id: str,
    holder: str,
    *,
    tries: int,
    attempts: list[dict[str, Any]],  # Any: JSON
    troubled_since: datetime | None,
    unclear: bool,
    next_at: datetime,
    code: str,
    reason: str,
) -> bool:
    """Store a failed attempt and release the claim; False if the claim is no longer current."""
    values = {
        "tries": tries, "attempts": attempts, "troubled_since": troubled_since, "unclear": unclear,
        "holder": None, "holder_until": None, "next_at": next_at, **_why(code, reason),
    }  # fmt: skip
    return connection.execute(_claimed(publication_id, holder).values(**values)).rowcount == 1


def end(
    connection: Connection,
    publication_id: str,
    holder: str,
    status: PublicationStatus,
    *,
    now: datetime,
    attempts: list[dict[str, Any]] | None = None,  # Any: JSON
    remote_id: str | None = None,
    link: str | None = None,
    code: str | None = None,
    reason: str | None = None,
    step: str | None = None,
    handle: bytes | None = None,
    next_at: datetime | None = None,
    keeps_holder: bool = False,
) -> bool:
    """End the state machine; False if the claim is no longer current. The handle stays as evidence.

    Args:
        connection: inside `Store.writing`.
        publication_id: of the publication.
        holder: of the claim.
        status: the one it ends in.
        now: when it ends.
        attempts: failed ones, with a new one; None: the stored ones stay.
        remote_id: the platform's id of the post.
        link: its address.
        code: why it ends, for programs.
        reason: the same, for people.
        step: of a new handle.
        handle: the encrypted facts of a new handle; None: the stored one stays.
        next_at: when the new handle's step is due, which only reads.
        keeps_holder: the claim's message is still to be dead-lettered, and will be recognised by the holder.
    """
    values: dict[str, Any] = {  # Any: as many types as columns
        "status": status, "ended_at": now, "remote_id": remote_id, "link": link, "code": code, "reason": reason,
        "holder_until": None, "unclear": False,
    }  # fmt: skip
    if attempts is not None:
        values |= {"attempts": attempts}
    if not keeps_holder:
        values |= {"holder": None}
    if handle is not None:
        values |= {"step": step, "handle": handle, "next_at": next_at}
    return connection.execute(_claimed(publication_id, holder).values(**values)).rowcount == 1


def schedule(connection: Connection, publication_id: str, now: datetime) -> bool:
    """Make the next step due now; False if the publication is not under way."""
    change = update(publications).where(
        publications.c.id == publication_id, publications.c.status == PublicationStatus.PUBLISHING
    )
    return connection.execute(change.values(next_at=now)).rowcount == 1


def postpone(connection: Connection, publication: Publication, until: datetime, now: datetime) -> bool:
    """Let the step be run at a time, also now, which it has waited for; False if there is none to run.

    The time for which it has been overdue does not count as time of failures: see `Publication.failing_since`.
    """
    change = update(publications).where(
        publications.c.id == publication.id, publications.c.status == PublicationStatus.PUBLISHING
    )
    values = {"next_at": until, "troubled_since": publication.failing_since(now)}
    return connection.execute(change.values(**values)).rowcount == 1


def wake(connection: Connection, account_id: str, now: datetime) -> list[Publication]:
    """Make the next steps of all publications under way on an account due now, without the reason that they waited.

    A step that is being run stays as it is.
    """
    mine = (publications.c.account_id == account_id, publications.c.status == PublicationStatus.PUBLISHING)
    idle = publications.c.holder.is_(None)
    values = {"next_at": now, "code": None, "reason": None}
    connection.execute(update(publications).where(*mine, idle).values(**values))
    return rows.fetch_all(connection, select(publications).where(*mine), Publication)


def waiting_until(connection: Connection, platform: str, moment: datetime) -> list[Publication]:
    """Return publications of a platform whose next step is due at exactly this moment, locked for a change.

    Those that another transaction changes now are left out: they go on at their own time.
    """
    query = select(publications).where(
        publications.c.platform == platform,
        is_under_way(publications),
        publications.c.holder.is_(None),
        publications.c.next_at == moment,
    )
    query = query.with_for_update(skip_locked=True)
    return rows.fetch_all(connection, query, Publication)


def stalled(
    connection: Connection, *, next_before: datetime, next_after: datetime, held_before: datetime
) -> list[Publication]:
    """Return publications under way on usable accounts that no worker continues.

    Args:
        next_before: a step that should have been taken up before this moment was not.
        next_after: no step waits for a later moment, unless the clock was set back since.
        held_before: claimed steps are overdue if they should have ended before this time.
    """
    is_due_wrongly = or_(publications.c.next_at < next_before, publications.c.next_at > next_after)
    not_taken_up = and_(publications.c.holder.is_(None), is_due_wrongly)
    not_ended = and_(publications.c.holder.is_not(None), publications.c.holder_until < held_before)
    query = (
        select(publications)
        .join(accounts, accounts.c.id == publications.c.account_id)
        .where(accounts.c.status == AccountStatus.CONNECTED)
        .where(is_under_way(publications), or_(not_taken_up, not_ended))
    )
    return rows.fetch_all(connection, query, Publication)


def fail_crashed(connection: Connection, publication_id: str, *, reason: str, now: datetime) -> bool:
    """End a publication under way that cannot continue; False if it is not under way."""
    begun = publications.c.step.is_not(None)
    change = update(publications).where(
        publications.c.id == publication_id, publications.c.status == PublicationStatus.PUBLISHING
    )
    status = case((begun, PublicationStatus.OUTCOME_UNKNOWN), else_=PublicationStatus.FAILED)
    values = {"status": status, "code": "gave_up", "reason": reason, "ended_at": now, "holder": None}
    return connection.execute(change.values(**values)).rowcount == 1


def set_link(
    connection: Connection,
    before: Publication,
    *,
    step: str | None,
    remote_id: str | None,
    link: str | None,
    handle: bytes | None,
    next_at: datetime | None,
) -> bool:
    """Store what became known of a post later; False if it was not published, or another poll has stored something."""
    change = update(publications).where(
        publications.c.id == before.id,
        publications.c.status.in_(PUBLICATION_SUCCEEDED),
        publications.c.next_at == before.next_at,
    )
    values = {"step": step, "remote_id": remote_id, "link": link, "handle": handle, "next_at": next_at}
    return connection.execute(change.values(**values)).rowcount == 1


def mark_published(connection: Connection, publication_id: str) -> bool:
    """Mark a draft as posted by its owner; False if it did not wait for that."""
    change = update(publications).where(
        publications.c.id == publication_id, publications.c.status == PublicationStatus.ACTION_NEEDED
    )
    values = {"status": PublicationStatus.PUBLISHED, "reason": None, "code": None}
    return connection.execute(change.values(**values)).rowcount == 1


def _why(code: str | None, reason: str | None) -> dict[str, Any]:  # Any: SQL expressions
    """Return the values of `code` and `reason`; those of a publication whose outcome is unknown meanwhile stay."""
    is_unknown = publications.c.status == PublicationStatus.OUTCOME_UNKNOWN
    return {
        "code": case((is_unknown, publications.c.code), else_=code),
        "reason": case((is_unknown, publications.c.reason), else_=reason),
    }


def _claimed(publication_id: str, holder: str) -> Update:
    return update(publications).where(
        publications.c.id == publication_id,
        publications.c.holder == holder,
        publications.c.status.in_({PublicationStatus.PUBLISHING, PublicationStatus.OUTCOME_UNKNOWN}),
    )
