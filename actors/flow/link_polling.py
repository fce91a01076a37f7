"""Polls the platforms about published posts whose link, or whose owner's action, is still missing.

Polling never publishes.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from loguru import logger

from actors.flow import tokens
from actors.flow.events import emit_for_publication
from actors.flow.posts import create_post
from actors.flow.publication_history import StepRecord
from actors.machine import Machine
from platforms import errors
from platforms.contract import Advanced, Handle, Outcome, Published
from platforms.http.recording import recorded
from store import jobs, platform_states, publications, segments, steps
from store.jobs import Job
from store.publications import Publication
from store.sealing import WrongKey
from store.segments import Segment
from store.states import PUBLICATION_SUCCEEDED

EARLY_TOLERANCE = timedelta(seconds=2)
POLL_FOR = timedelta(hours=24)  # after the publication; a draft unfinished by then is left to its owner
RETRY_S = 300.0  # after an unclear answer
REFUSED_RETRY_S = 3600.0  # after a refused question


def poll(machine: Machine, publication_id: str) -> None:
    """Ask the platform once about a publication that went out; nothing if no poll is due."""
    with machine.store.reading() as connection:
        found = publications.get(connection, publication_id)
        segment = segments.get(connection, found.segment_id) if found else None
        job = jobs.get(connection, found.job_id) if found else None
    if found is None or segment is None or job is None or not _is_due(machine, found):
        return
    if (paused_until := _paused_until(machine, found)) is not None:
        _postpone(machine, found, paused_until)
        return
    with recorded(machine.now) as exchanges:
        outcome, again_s = _ask(machine, found, segment, job)
    ended = found.ended_at or found.created_at
    if again_s is not None and machine.now() - ended > POLL_FOR:
        again_s = None
    _record(StepRecord(machine, found, _asked_with(machine, found), exchanges), job, outcome, again_s)


def _asked_with(machine: Machine, found: Publication) -> Handle | None:
    """Return the handle that a poll has asked with; None without one, or if it cannot be read."""
    if found.handle is None or found.step is None or not machine.sealer.can_open(found.handle):
        return None
    return Handle(found.step, machine.sealer.open(found.handle))


def _is_due(machine: Machine, found: Publication) -> bool:
    if found.status not in PUBLICATION_SUCCEEDED or found.next_at is None:
        return False
    return found.next_at <= machine.now() + EARLY_TOLERANCE


def _paused_until(machine: Machine, found: Publication) -> datetime | None:
    """Return the end of an outage's pause, in which the platform is not asked anything; None if there is none."""
    with machine.store.reading() as connection:
        state = platform_states.get(connection, found.platform)
    return state.paused_until if state.is_paused(machine.now() + EARLY_TOLERANCE) else None


def _postpone(machine: Machine, found: Publication, until: datetime) -> None:
    with machine.store.writing(job=found.job_id) as connection:
        if steps.set_link(
            connection,
            found,
            step=found.step,
            remote_id=found.remote_id,
            link=found.link,
            handle=found.handle,
            next_at=until,
        ):
            delay_s = (until - machine.now()).total_seconds()
            machine.send(f"publish_{found.platform}", found.id, delay_s=delay_s)


def _ask(machine: Machine, found: Publication, segment: Segment, job: Job) -> tuple[Outcome | None, float | None]:
    """Return the outcome if there is one, and after how many seconds to poll again (None: never)."""
    if found.handle is None or found.step is None:
        return None, None
    try:
        handle = Handle(found.step, machine.sealer.open(found.handle))
        account = tokens.get_access(machine, found.account_id).account
        post = create_post(machine, found, segment, job, Path(segment.file_path))  # no byte of it is read
        outcome = machine.publisher(found.platform).advance(post, account, handle, interrupted=False)
    except WrongKey:  # until the SECRET_KEY is put back
        return None, RETRY_S * machine.settings.publish_pace
    except (errors.TryLater, errors.Unclear) as later:
        return None, max(later.retry_after_s, RETRY_S * machine.settings.publish_pace)
    except (errors.PostFailed, errors.StartOver, errors.OutcomeUnknown) as error:
        logger.info("Publication {}: polling ended: {}", found.id, error)
        return None, None
    except errors.PlatformError as error:  # the question was refused, or the account must be connected again
        logger.info("Publication {}: polling failed: {}", found.id, error)
        return None, REFUSED_RETRY_S * machine.settings.publish_pace
    return outcome, outcome.again_after_s


def _record(asked: StepRecord, job: Job, outcome: Outcome | None, again_s: float | None) -> None:
    machine, found = asked.machine, asked.publication
    next_at = None if again_s is None else machine.now() + timedelta(seconds=again_s)
    handle = outcome.handle if outcome is not None else None
    link, remote_id = found.link, found.remote_id
    if outcome is not None and not isinstance(outcome, Advanced):
        remote_id = outcome.remote_id
        link = outcome.link if isinstance(outcome, Published) else link
    sealed = found.handle if handle is None else machine.sealer.seal(dict(handle.facts))
    step = found.step if handle is None else handle.step
    with machine.store.writing(job=found.job_id) as connection:
        if outcome is None:
            asked.append_answers(connection)
        else:
            asked.append_outcome(connection, outcome)
        if not steps.set_link(
            connection, found, step=step, remote_id=remote_id, link=link, handle=sealed, next_at=next_at
        ):
            return
        posted = isinstance(outcome, Published) and steps.mark_published(connection, found.id)
        updated = publications.get(connection, found.id)
        if updated is not None and (posted or (link is not None and found.link is None)):
            kind = "publication.published" if posted else "publication.linked"  # each is sent once
            emit_for_publication(machine, connection, kind, updated, job)
        if again_s is not None:
            machine.send(f"publish_{found.platform}", found.id, delay_s=again_s)
