"""Holds, own times and immediate starts of waiting publications, as a person decides them.

Each change applies to a publication only while it waits; whether it did is in the row count. The scheduler starts it in
a transaction, too (`publication_queue.start`), so either the decision counts or the start.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, case, select, update

from store import rows
from store.publications import Publication
from store.states import PUBLICATION_SUCCEEDED, PUBLICATION_UNPUBLISHED, AfterFailure, PublicationStatus
from store.tables import publications

_BEFORE_ITS_END = (PublicationStatus.WAITING, PublicationStatus.PUBLISHING, PublicationStatus.OUTCOME_UNKNOWN)


def hold(connection: Connection, publication_id: str) -> bool:
    """Hold a waiting publication; it is no longer asked to start at once. False if it does not wait."""
    return _change(connection, publication_id, {"held": True, "publish_now_at": None})


def release(connection: Connection, publication_id: str) -> bool:
    """Release a waiting publication; False if it does not wait."""
    return _change(connection, publication_id, {"held": False})


def move(connection: Connection, publication_id: str, moment: datetime | None) -> bool:
    """Give a waiting publication a time of its own, or that of its job; False if it does not wait."""
    return _change(connection, publication_id, {"publish_after": moment, "publish_now_at": None})


def want_now(connection: Connection, publication_id: str, now: datetime) -> bool:
    """Let a waiting publication start at once, also if it was held; False if it does not wait."""
    return _change(connection, publication_id, {"held": False, "publish_now_at": now})


def want_usual(connection: Connection, publication_id: str) -> bool:
    """Let a publication that was to start at once wait for its usual time; False if it does not wait."""
    return _change(connection, publication_id, {"publish_now_at": None})


def _change(connection: Connection, publication_id: str, values: dict[str, Any]) -> bool:  # Any: types of columns
    """Change a waiting publication. Its due time is computed anew, so that its event and its message are sent anew."""
    mine = (publications.c.id == publication_id, publications.c.status == PublicationStatus.WAITING)
    return connection.execute(update(publications).where(*mine).values(**values, due_at=None)).rowcount == 1


def set_held_of_job(connection: Connection, job_id: str, *, held: bool) -> bool:
    """Hold or release all publications of a job that are not out or under way; False if they were that already.

    Also those that may be retried: a retry of one part does not publish what is held.
    """
    is_out = publications.c.status.in_({PublicationStatus.PUBLISHING, *PUBLICATION_SUCCEEDED})
    mine = (publications.c.job_id == job_id, ~is_out, publications.c.held.is_not(held))
    waits = publications.c.status == PublicationStatus.WAITING
    values = {
        "held": held,
        "due_at": case((waits, None), else_=publications.c.due_at),
        "publish_now_at": None if held else publications.c.publish_now_at,
    }
    return connection.execute(update(publications).where(*mine).values(**values)).rowcount > 0


def follow_job(connection: Connection, job_id: str, moment: datetime | None) -> bool:
    """Let the waiting publications of a job follow its time; False if they do already.

    Earlier times of their own are dropped, and none is to start at once any more.

    Args:
        connection: inside `Store.writing`.
        job_id: of the job.
        moment: the time of the job; None: it has none, and own times stay.
    """
    mine = (publications.c.job_id == job_id, publications.c.status == PublicationStatus.WAITING)
    wanted_now = update(publications).where(*mine, publications.c.publish_now_at.is_not(None))
    changed = connection.execute(wanted_now.values(publish_now_at=None)).rowcount
    if moment is not None:
        earlier = update(publications).where(*mine, publications.c.publish_after < moment)
        changed += connection.execute(earlier.values(publish_after=None)).rowcount
    return changed > 0


def clear_due(connection: Connection, job_id: str) -> None:
    """Let the due times of the waiting publications of a job be computed anew, with their events and messages."""
    mine = (publications.c.job_id == job_id, publications.c.status == PublicationStatus.WAITING)
    connection.execute(update(publications).where(*mine).values(due_at=None))


def unfinished_before(
    connection: Connection, publication: Publication, after_failure: AfterFailure
) -> Publication | None:
    """Return the first earlier part on the same account that keeps a publication from starting, or None.

    It waits, is under way, or its outcome is unknown; or it was not published, and the account holds those after it.
    """
    holds = PUBLICATION_UNPUBLISHED if after_failure is AfterFailure.HOLD else frozenset()
    query = select(publications).where(
        publications.c.account_id == publication.account_id,
        publications.c.job_id == publication.job_id,
        publications.c.segment_number < publication.segment_number,
        publications.c.status.in_({*_BEFORE_ITS_END, *holds}),
    )
    return rows.fetch_one(connection, query.order_by(publications.c.segment_number).limit(1), Publication)


def waiting_on_account(connection: Connection, publication: Publication) -> list[Publication]:
    """Return the waiting parts of a publication's job on its account, in order."""
    query = select(publications).where(
        publications.c.account_id == publication.account_id,
        publications.c.job_id == publication.job_id,
        publications.c.status == PublicationStatus.WAITING,
    )
    return rows.fetch_all(connection, query.order_by(publications.c.segment_number), Publication)
