"""Recovers work in progress that is past its deadline: it is resumed, or ended with an error."""

from __future__ import annotations

from datetime import datetime, timedelta

from loguru import logger

from actors.flow import planning, rendering, retrying
from actors.flow.completion import fail_job, part_failed, publication_crashed
from actors.machine import Machine
from broker import DeadLetter
from store import jobs, publications, segments, steps, webhooks

GRACE_PERIOD = timedelta(
    minutes=5
)  # for messages that wait behind others; the broker itself brings a dead worker's back
DEAD_LETTER_AGE = timedelta(days=1)  # into the dead letters; this runs each minute


def recover(machine: Machine) -> None:
    """Recover all kinds of work: parts, plans, publications, deliveries."""
    _fail_dead_lettered(machine)
    _resume_parts(machine)
    _resume_retries(machine)
    _resume_publications(machine)
    _resume_deliveries(machine)


def _fail_dead_lettered(machine: Machine) -> None:
    """End what a message in the dead letters was to bring about: it has ended, too, and is to be seen as such.

    A letter stays where it is, to be read; one that is older than the last time its work was asked for says nothing.
    """
    for letter in machine.broker.admin.dead_letters(limit=1000):
        is_new = letter.died_at > machine.now() - DEAD_LETTER_AGE
        if letter.args and is_new and not retrying.is_recorded(letter.error):
            _fail_work_of(machine, letter)


def _fail_work_of(machine: Machine, letter: DeadLetter) -> None:
    reason = "an error in VidProd stopped it every time; the dead letters have the details"
    about = letter.args[0]
    with machine.store.reading() as connection:
        job = jobs.get(connection, about) if letter.actor == "split" else None
        segment = segments.get(connection, about) if letter.actor == "gaze" else None
        publication = publications.get(connection, about) if letter.actor.startswith("publish_") else None
    if job is not None and job.segment_count is None and _is_current(letter, job.asked_at):
        fail_job(machine, job.id, code="gave_up", error=f"examining the video: {reason}", retryable=True)
    elif segment is not None and _is_current(letter, segment.asked_at):
        part_failed(machine, segment.id, reason=reason)
    elif publication is not None and _is_current(letter, publication.started_at):
        publication_crashed(machine, publication.id, reason=reason)


def _is_current(letter: DeadLetter, asked_at: datetime | None) -> bool:
    return asked_at is None or letter.died_at > asked_at


def _resume_parts(machine: Machine) -> None:
    # A part between two attempts is pending, and its message waits in the broker.
    longest = timedelta(seconds=machine.settings.processing_deadline) + GRACE_PERIOD
    with machine.store.writing() as connection:
        for segment in segments.rendering_started_before(connection, machine.now() - longest):
            logger.warning("part {} of job {} is overdue, rendering it anew", segment.segment_number, segment.job_id)
            segments.reset_started_at(connection, segment.id, machine.now())
            rendering.send(machine, segment)


def _resume_retries(machine: Machine) -> None:
    """Send what waits for a moment that cannot be: the clock was ahead when it was reckoned, and was set back."""
    farthest = machine.now() + retrying.max_delay(machine) + GRACE_PERIOD
    with machine.store.writing() as connection:
        for job in jobs.clear_retries_after(connection, farthest):
            planning.send(machine, job.id)
        for segment in segments.clear_retries_after(connection, farthest):
            rendering.send(machine, segment)


def _resume_publications(machine: Machine) -> None:
    now = machine.now()
    with machine.store.writing() as connection:
        for publication in steps.stalled(connection, next_before=now - GRACE_PERIOD, held_before=now - GRACE_PERIOD):
            logger.warning("publication {} is overdue at step {}", publication.id, publication.step)
            steps.schedule(connection, publication.id, now)
            machine.send(f"publish_{publication.platform}", publication.id)


def _resume_deliveries(machine: Machine) -> None:
    now = machine.now()
    with machine.store.writing() as connection:
        for delivery in webhooks.overdue(connection, now - GRACE_PERIOD):
            webhooks.schedule(connection, delivery.id, now)
            machine.send("dispatch_webhook", delivery.id)
