"""reap: find whatever is in flight past its deadline, and take it up again or report it. Nothing is stuck silently."""

from __future__ import annotations

from datetime import timedelta

import dramatiq
from loguru import logger
from periodiq import cron

from actors import rendering, wiring
from actors.settling import fail_job, part_failed
from store import jobs, publications, segments, webhooks
from store.jobs import Job
from store.states import JobStatus

SLACK = timedelta(minutes=5)  # for messages that wait behind others; the broker itself brings a dead worker's back


@dramatiq.actor(queue_name="ticks", periodic=cron("* * * * *"), max_retries=0)
def reap() -> None:
    """Look through everything that can be in flight."""
    _give_up_dead_letters()
    _resume_parts()
    _resume_publications()
    _resume_deliveries()


def _give_up_dead_letters() -> None:
    """End the job or part whose message is in the dead letters: it has ended, too, and is to be seen as such."""
    for letter in wiring.broker.dead_letters(queue="media"):
        if not letter.args:
            continue
        reason = "processing it failed again and again; the machine's log has the details"
        if letter.actor == "split" and _is_open(letter.args[0]):
            fail_job(letter.args[0], code="gave_up", error=reason)
        elif letter.actor == "gaze":
            part_failed(letter.args[0], reason=reason)


def _is_open(job_id: str) -> bool:
    with wiring.store.reading() as connection:
        job: Job | None = jobs.get(connection, job_id)
    return job is not None and job.status in {JobStatus.PENDING, JobStatus.PROCESSING} and job.segment_count is None


def _resume_parts() -> None:
    # A part is rendered at most twice in a row, with gaze correction and without.
    longest = timedelta(seconds=2 * wiring.settings.processing_deadline) + SLACK
    with wiring.store.writing() as connection:
        for segment in segments.rendering_since(connection, wiring.now() - longest):
            logger.warning("part {} of job {} is overdue, rendering it anew", segment.segment_number, segment.job_id)
            rendering.send_gaze(segment)


def _resume_publications() -> None:
    now = wiring.now()
    with wiring.store.writing() as connection:
        for publication in publications.stalled(connection, next_before=now - SLACK, held_before=now - SLACK):
            logger.warning("publication {} is overdue at step {}", publication.id, publication.step)
            wiring.send(f"publish_{publication.platform}", publication.id)


def _resume_deliveries() -> None:
    with wiring.store.writing() as connection:
        for delivery in webhooks.overdue(connection, wiring.now() - SLACK):
            wiring.send("dispatch_webhook", delivery.id)
