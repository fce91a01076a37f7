"""Events: what happened, written with the change itself and sent to whoever wants to hear of it."""

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
    """Record an event in the open transaction and send its deliveries with it.

    Args:
        connection: inside `store.writing()`.
        kind: one of the types of the outside contract, e.g. "segment.ready".
        job: the job it belongs to; its endpoint hears of it and its sequence rises.
        facts: what `data` says besides the job's id and the sequence.
    """
    moment = machine.now()
    data: dict[str, Any] = {}  # Any: JSON
    if job is not None:
        data = {"job_id": job.id, "sequence": jobs.next_sequence(connection, job.id), "title": job.title}
        if job.metadata is not None:
            data["metadata"] = job.metadata
    body = {"type": kind, "timestamp": moment.isoformat().replace("+00:00", "Z"), "data": data | facts}
    event = webhooks.Event(
        id=machine.new_id("msg_"),
        type=kind,
        job_id=job.id if job else None,
        body=json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False),
        created_at=moment,
    )
    for delivery in webhooks.record_event(connection, event, job.webhook_url if job else None, machine.new_id):
        machine.send("dispatch_webhook", delivery.id)


def publication_data(publication: Publication, job: Job) -> dict[str, Any]:  # Any: JSON
    """Return what every event about a publication says."""
    return {
        "publication_id": publication.id,
        "part": publication.segment_number,
        "parts": job.segment_count,
        "platform": publication.platform,
        "account_id": publication.account_id,
    }


def emit_for_publication(
    machine: Machine, connection: Connection, kind: str, publication: Publication, job: Job
) -> None:
    """Record an event about a publication as it stands now."""
    emit(machine,
        connection, kind, job, link=publication.link, remote_id=publication.remote_id, code=publication.code,
        reason=publication.reason, **publication_data(publication, job),
    )  # fmt: skip
