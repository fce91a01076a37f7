"""Webhook events: recorded in the transaction of the change they report, together with their deliveries."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection

from actors.machine import Machine
from store import jobs, webhooks
from store.jobs import Job
from store.publications import Publication


def emit(
    machine: Machine, connection: Connection, kind: str, job: Job | None = None, **facts: Any
) -> None:  # Any: JSON
    """Record an event in the open transaction and send the messages of its deliveries.

    Args:
        machine: for its clock and ids.
        connection: inside `store.writing()`.
        kind: one of the public event types, such as "segment.ready".
        job: the job that the event belongs to; the endpoint named by the job gets it, and its sequence rises.
        facts: further members of `data`.
    """
    now = machine.now()
    data: dict[str, Any] = {}  # Any: JSON
    if job is not None:
        data = {"job_id": job.id, "sequence": jobs.next_sequence(connection, job.id), "title": job.title}
        if job.metadata is not None:
            data["metadata"] = job.metadata
    body = {"type": kind, "timestamp": now.isoformat().replace("+00:00", "Z"), "data": data | facts}
    event = webhooks.Event(
        id=machine.new_id("msg_"),
        type=kind,
        job_id=job.id if job else None,
        body=json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False),
        created_at=now,
    )
    for delivery in webhooks.record_event(connection, event, job.webhook_url if job else None, machine.new_id):
        machine.send("dispatch_webhook", delivery.id)


def emit_for_publication(
    machine: Machine, connection: Connection, kind: str, publication: Publication, job: Job
) -> None:
    """Record an event about a publication, with its present link, code and reason."""
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
