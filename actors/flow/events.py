"""Webhook events: recorded in the transaction of the change they report, together with their deliveries."""

from __future__ import annotations

import json
from typing import Any

from loguru import logger
from sqlalchemy import Connection

from actors.flow import notices, publication_history, webhook_queue
from actors.machine import Machine
from platforms import webhook_events
from store import accounts, jobs, sequences, webhooks
from store.jobs import Job
from store.owners import DEFAULT_OWNER
from store.publications import Publication

_SUBJECTS = ("account_id", "endpoint_id", "platform")  # of events without a job; the first that an event has


def emit(
    machine: Machine, connection: Connection, kind: str, job: Job | None = None, **facts: Any
) -> None:  # Any: JSON
    """Record an event, and perhaps a notice, in the open transaction, and send the messages of their deliveries.

    Both go to the owner of the job, the account or the endpoint; the event of a platform goes to all owners.

    Args:
        machine: for its clock and ids.
        connection: inside `store.writing()`.
        kind: one of `platforms.webhook_events.EVENT_TYPES`, such as "segment.ready".
        job: the job that the event belongs to; the endpoint named by the job gets it, and its sequence rises.
        facts: the other members of `data`, as in the model of the event type.
    """
    event = create_event(machine, connection, kind, job, **facts)
    address = job.webhook_url if job else None
    # An endpoint's own end is not among the events that it missed.
    subject = facts.get("endpoint_id")
    for delivery in webhooks.record_event(connection, event, address, machine.new_id, except_endpoint=subject):
        webhook_queue.wake(machine, connection, delivery.endpoint_id)
    if event.owner_id is not None:
        notices.on_event(machine, connection, event.owner_id, kind, job, facts)


def create_event(
    machine: Machine, connection: Connection, kind: str, job: Job | None = None, **facts: Any
) -> webhooks.Event:  # Any: JSON
    """Return a new event with the next sequence of its subject; it is not recorded yet. Arguments as of `emit`."""
    now = machine.now()
    data: dict[str, Any] = {}  # Any: JSON
    if job is not None:
        number = jobs.next_sequence(connection, job.id)
        data = {"job_id": job.id, "sequence": number, "title": job.title, "metadata": job.metadata}
    else:
        subject = next((f"{name}:{facts[name]}" for name in _SUBJECTS if name in facts), kind)
        data = {"sequence": sequences.next_number(connection, subject)}
    body = {
        "type": kind,
        "timestamp": now.isoformat().replace("+00:00", "Z"),
        "data": _checked(kind, data | facts),
    }
    return webhooks.Event(
        id=machine.new_id("msg_"),
        owner_id=job.owner_id if job else _owner_id(connection, facts),
        type=kind,
        job_id=job.id if job else None,
        body=json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False),
        created_at=now,
    )


def _owner_id(connection: Connection, facts: dict[str, Any]) -> str | None:  # Any: JSON
    """Return the owner of an event that belongs to no job; None if it concerns all owners."""
    if "account_id" in facts:
        account = accounts.get(connection, facts["account_id"])
        return account.owner_id if account else DEFAULT_OWNER
    if "endpoint_id" in facts:
        endpoint = webhooks.get_endpoint(connection, facts["endpoint_id"])
        return endpoint.owner_id if endpoint else DEFAULT_OWNER
    return None


def _checked(kind: str, data: dict[str, Any]) -> dict[str, Any]:  # Any: JSON
    try:
        return webhook_events.checked(kind, data)
    except webhook_events.UnknownEvent as error:
        # A mistake of ours, which a test finds because a logged error fails it. Raised here, it would undo the change
        # that the event reports, such as the record of a post.
        logger.error("{}", error)
        return data


def emit_for_publication(
    machine: Machine, connection: Connection, kind: str, publication: Publication, job: Job
) -> None:
    """Record an event about a publication, with its present link, code and reason, also in its history."""
    publication_history.record_state(machine, connection, kind, publication)
    emit(
        machine, connection, kind, job, link=publication.link, remote_id=publication.remote_id,
        code=publication.code, reason=publication.reason, **publication_data(publication, job),
    )  # fmt: skip


def publication_data(publication: Publication, job: Job) -> dict[str, Any]:  # Any: JSON
    """Return the members of `data` that every event about a publication has."""
    return {
        "publication_id": publication.id,
        "part": publication.segment_number,
        "parts": job.segment_count,
        "platform": publication.platform,
        "account_id": publication.account_id,
    }
