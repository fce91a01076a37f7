"""Recovers work past its deadline: resumes it, or ends it with an error."""

from __future__ import annotations

from datetime import datetime, timedelta

from loguru import logger

from actors import clock_check
from actors.flow import notices, planning, rendering, retrying, webhook_queue
from actors.flow.completion import fail_crashed_publication, fail_job, fail_part
from actors.machine import Machine
from broker import DeadLetter
from store import accounts, heartbeats, jobs, platform_states, publication_queue, publications, segments, steps
from store.boot_clock import BootTime

GRACE_PERIOD = timedelta(minutes=5)  # a message may wait in its queue, or for redelivery after its worker's end
MAX_AHEAD = timedelta(hours=26)  # platforms ask for at most a day (`MAX_RETRY_AFTER_S`, quotas until midnight)
MAX_SLEW = timedelta(minutes=1)  # a clock that goes back by less was adjusted, and delays nothing noticeably
HEARTBEAT = "recovery"  # name of the heartbeat of `recover`
DEAD_LETTER_AGE = timedelta(days=1)  # older dead letters have been handled: `recover` runs each minute
REASON = "an error in VidProd stopped it every time; the dead letters have the details"


def recover(machine: Machine) -> None:
    """Recover dead-lettered work, overdue parts, retries, publications, webhooks and notices, and the ballast file."""
    began_at = (machine.now(), machine.boot_time())
    machine.disk.make_ballast()
    was_set_back = _was_set_back(machine, *began_at)
    if not was_set_back:  # at once: if the clock is ahead and set back during this run, the next one must know
        _record(machine, *began_at)
    _fail_dead_lettered(machine)
    _resume_parts(machine)
    _resume_retries(machine, was_set_back)
    _resume_publications(machine, was_set_back)
    webhook_queue.recover(machine, was_set_back=was_set_back)
    notices.recover(machine, was_set_back=was_set_back)
    if was_set_back:  # last: after a crash the next run does all of it
        _record(machine, *began_at)


def _record(machine: Machine, now: datetime, boot_time: BootTime) -> None:
    with machine.store.writing(scope="rows") as connection:
        heartbeats.record(connection, HEARTBEAT, now, boot_time)


def _was_set_back(machine: Machine, now: datetime, boot_time: BootTime) -> bool:
    """Return whether the clock was set back since the last run. Then nothing can be due later than now.

    A clock that is ahead for some seconds leaves times behind that are hours away when it is right again: of retries,
    of pauses and of the next question to a platform. A step that comes too early is refused once, at the worst.
    """
    with machine.store.reading() as connection:
        set_back_s = heartbeats.set_back_s(connection, HEARTBEAT, now, boot_time)
    if set_back_s <= MAX_SLEW.total_seconds():
        return False
    with machine.store.writing(scope="rows") as connection:
        heartbeats.record(connection, clock_check.AHEAD, now + timedelta(seconds=set_back_s), boot_time)
    logger.warning("Clock: set back by {:.0f} s; what waits for a later time is tried now", set_back_s)
    return True


def _fail_dead_lettered(machine: Machine) -> None:
    """Fail the work of dead-lettered messages. The dead letters are kept for the operator."""
    for letter in machine.broker.admin.dead_letters(limit=1000):
        is_new = letter.died_at > machine.now() - DEAD_LETTER_AGE
        if letter.args and is_new and not retrying.is_recorded(letter.error):
            _fail_work_of(machine, letter)


def _fail_work_of(machine: Machine, letter: DeadLetter) -> None:
    work_id = letter.args[0]
    with machine.store.reading() as connection:
        job = jobs.get(connection, work_id) if letter.actor == "split" else None
        segment = segments.get(connection, work_id) if letter.actor == "gaze" else None
        publication = publications.get(connection, work_id) if letter.actor.startswith("publish_") else None
    if job is not None and job.segment_count is None and _is_current(letter, job.asked_at):
        error = f"examining the video: {REASON}"
        with machine.store.writing(job=job.id) as connection:
            fail_job(machine, connection, job.id, code="gave_up", error=error, retryable=True)
    elif segment is not None and _is_current(letter, segment.asked_at):
        with machine.store.writing(job=segment.job_id) as connection:
            fail_part(machine, connection, segment.id, reason=REASON)
    elif publication is not None and _is_current(letter, publication.started_at):
        with machine.store.writing(job=publication.job_id) as connection:
            fail_crashed_publication(machine, connection, publication.id, reason=REASON)


def _is_current(letter: DeadLetter, asked_at: datetime | None) -> bool:
    """Return whether a dead letter is younger than the last request for its work."""
    return asked_at is None or letter.died_at > asked_at


def _resume_parts(machine: Machine) -> None:
    # A part between two attempts is not affected: it is pending, and its message waits in the broker.
    overdue_after = timedelta(seconds=machine.settings.processing_deadline) + GRACE_PERIOD
    with machine.store.writing(scope="everything") as connection:
        for segment in segments.rendering_started_before(connection, machine.now() - overdue_after):
            logger.warning("Job {} part {}: rendering is overdue, sent again", segment.job_id, segment.segment_number)
            segments.reset_started_at(connection, segment.id, machine.now())
            rendering.send(machine, segment)


def _resume_retries(machine: Machine, was_set_back: bool) -> None:
    """Send retries that are due too late: they were scheduled before the clock was set back."""
    max_ahead = timedelta() if was_set_back else retrying.max_delay(machine) + GRACE_PERIOD
    latest = machine.now() + max_ahead
    with machine.store.writing(scope="everything") as connection:
        for job in jobs.clear_retries_after(connection, latest):
            planning.send(machine, job.id)
        for segment in segments.clear_retries_after(connection, latest):
            rendering.send(machine, segment)


def _resume_publications(machine: Machine, was_set_back: bool) -> None:
    now = machine.now()
    before, latest = now - GRACE_PERIOD, now if was_set_back else now + MAX_AHEAD
    running = {held.message_id for held in machine.broker.admin.held_messages()}
    with machine.store.writing(scope="everything") as connection:
        accounts.end_pauses_after(connection, latest)
        platform_states.end_pauses_after(connection, latest, now)
        if was_set_back:
            publication_queue.correct_starts(connection, now)
        for publication in steps.stalled(connection, next_before=before, next_after=latest, held_before=before):
            if publication.holder is not None and publication.holder.split("/")[0] in running:
                # A slow upload, or the clock was set ahead during it. A second worker would begin another upload.
                logger.warning("Publication {}: step {} is overdue, still being run", publication.id, publication.step)
                continue
            logger.warning("Publication {}: step {} is overdue, sent again", publication.id, publication.step)
            steps.postpone(connection, publication, now, now)
            machine.send(f"publish_{publication.platform}", publication.id)
