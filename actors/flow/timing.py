"""Holds and moves waiting posts, and publishes them at once, as a person decides.

All functions run inside the caller's open transaction. The scheduler starts a post in a transaction, too: so it starts
either before a decision, which is refused then, or as the decision says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from loguru import logger
from sqlalchemy import Connection

from actors.flow.events import emit, publication_data
from actors.flow.forecast import Prediction
from actors.flow.publication_commands import NotPossible
from actors.flow.publication_history import record_person
from actors.flow.scheduling import start_due
from actors.machine import Machine
from store import accounts, jobs, post_times, publications, segments
from store.jobs import Job
from store.publications import Publication
from store.states import JOB_OVER, AfterFailure, PublicationStatus, WaitsFor

ON_HOLD = "on_hold"
"""Code of the event of a post that a person holds."""


@dataclass(frozen=True)
class Move:
    """Another time of a post, or of all posts of a job.

    Attributes:
        publish_after: None: a post gets the time of its job, and a job none.
        shift_following: the waiting parts after a post on its account keep their distance to it.
    """

    publish_after: datetime | None
    shift_following: bool = False


@dataclass(frozen=True)
class TimeChange:
    """A change of when a post goes out; None stays as it is.

    Attributes:
        held: it does not go out until it is released.
        move: to another time.
        publish_now: it goes out as soon as the platform's limit of a day allows, whatever window, gap and time it has.
    """

    held: bool | None = None
    move: Move | None = None
    publish_now: bool | None = None

    def __bool__(self) -> bool:
        return self != TimeChange()


def change_post(
    machine: Machine,
    connection: Connection,
    publication: Publication,
    job: Job,
    change: TimeChange,
    predictions: Mapping[str, Prediction],
) -> None:
    """Change when a waiting publication goes out. A change that was made already does nothing.

    Args:
        machine: for its clock.
        connection: inside `store.writing()`.
        publication: as it is.
        job: of the publication.
        change: of its time.
        predictions: of waiting publications, by id: what the person saw.

    Raises:
        NotPossible: "publication_started"; "out_of_order" if a part would go out before an earlier one;
            "earlier_part_waits" or "not_approved" if it cannot go out now.
    """
    change = _differences(publication, change)
    if not change:
        return
    if publication.status is not PublicationStatus.WAITING:
        raise NotPossible(
            "publication_started", f"this post is {publication.status}; only a waiting one can be changed"
        )
    if change.held is not None:
        _set_held(machine, connection, publication, job, held=change.held)
    if change.move is not None:
        _move(machine, connection, publication, job, change.move, predictions)
    if change.publish_now:
        _check_may_go(connection, publication, job)
        post_times.want_now(connection, publication.id, machine.now())
        record_person(machine, connection, [publication.id], "A person publishes the post now")
    elif change.publish_now is not None:
        post_times.want_usual(connection, publication.id)
        record_person(machine, connection, [publication.id], "A person lets the post wait for its usual time")
    logger.info("Publication {}: {}", publication.id, change)
    start_due(machine, connection, publication.account_id)


def _differences(publication: Publication, change: TimeChange) -> TimeChange:
    """Return what a change would change."""
    is_wanted_now = publication.publish_now_at is not None
    move = change.move
    if move is not None and move.publish_after == publication.publish_after and not is_wanted_now:
        move = None
    return TimeChange(
        held=None if change.held == publication.held else change.held,
        move=move,
        publish_now=None if change.publish_now == is_wanted_now else change.publish_now,
    )


def _set_held(machine: Machine, connection: Connection, publication: Publication, job: Job, *, held: bool) -> None:
    facts = publication_data(publication, job)
    if held:
        post_times.hold(connection, publication.id)
        record_person(machine, connection, [publication.id], "A person holds the post")
        emit(machine, connection, "publication.held", job, code=ON_HOLD, reason="a person holds it", **facts)
        return
    post_times.release(connection, publication.id)
    record_person(machine, connection, [publication.id], "A person releases the post")
    jobs.set_held(connection, job.id, held=False)  # the other publications stay held
    emit(machine, connection, "publication.released", job, **facts)


def _move(
    machine: Machine,
    connection: Connection,
    publication: Publication,
    job: Job,
    move: Move,
    predictions: Mapping[str, Prediction],
) -> None:
    moment, number = move.publish_after, publication.segment_number
    waiting = post_times.waiting_on_account(connection, publication)
    following = [one for one in waiting if one.segment_number > number]
    shifted: Sequence[Publication] = []
    if moment is not None:
        _check_earlier([one for one in waiting if one.segment_number < number], job, moment, predictions)
        if move.shift_following:
            shifted = _shift(publication, following, job, moment, predictions)
        else:
            _check_following(following, moment)
    for one in (replace(publication, publish_after=moment), *shifted):
        post_times.move(connection, one.id, one.publish_after)
        record_person(machine, connection, [one.id], _moved(one.publish_after))
    emit(
        machine, connection, "publication.moved", job, publish_after=moment, following=len(shifted),
        **publication_data(publication, job),
    )  # fmt: skip


def _moved(moment: datetime | None) -> str:
    return "A person takes its own time from the post" if moment is None else f"A person moves it to {_words(moment)}"


def _check_earlier(
    earlier: Sequence[Publication], job: Job, moment: datetime, predictions: Mapping[str, Prediction]
) -> None:
    """Refuse a time before that of an earlier part."""
    for one in earlier:
        at = _known_time(one, job, predictions)
        if at is not None and at > moment:
            raise NotPossible(
                "out_of_order",
                f"part {one.segment_number} goes out on {_words(at)}, and parts keep their order; choose a later time, "
                f"or move part {one.segment_number} first",
                part=one.segment_number,
                at=at,
            )


def _check_following(following: Sequence[Publication], moment: datetime) -> None:
    """Refuse a time after that which a person has given to a later part; other parts follow by themselves."""
    for one in following:
        if one.publish_after is not None and one.publish_after < moment:
            raise NotPossible(
                "out_of_order",
                f"part {one.segment_number} has an earlier time, {_words(one.publish_after)}; move the following "
                "parts, too (shift_following), or choose an earlier time",
                part=one.segment_number,
                at=one.publish_after,
            )


def _known_time(publication: Publication, job: Job, predictions: Mapping[str, Prediction]) -> datetime | None:
    """Return the earliest time at which a waiting publication goes out, as far as it is no mere estimate."""
    prediction = predictions.get(publication.id)
    expected = None if prediction is None or prediction.waits_for is WaitsFor.RENDERING else prediction.at
    times = [time for time in (publication.publish_after or job.publish_after, expected) if time is not None]
    return max(times, default=None)


def _shift(
    publication: Publication,
    following: Sequence[Publication],
    job: Job,
    moment: datetime,
    predictions: Mapping[str, Prediction],
) -> list[Publication]:
    """Return the parts after one that moves, each with the time that keeps its distance."""
    before = _known_time(publication, job, predictions)
    delta = timedelta(0) if before is None else moment - before
    times = ((one, _known_time(one, job, predictions)) for one in following)
    return [replace(one, publish_after=max(at + delta, moment)) for one, at in times if at is not None]


def _check_may_go(connection: Connection, publication: Publication, job: Job) -> None:
    """Refuse to publish a part at once that waits for approval, or for an earlier part."""
    part = segments.get(connection, publication.segment_id)
    is_approved = not job.review_reasons or job.approved_at is not None
    if not is_approved and (part is None or part.approved_at is None):
        raise NotPossible("not_approved", f"part {publication.segment_number} is not approved; approve it first")
    account = accounts.get(connection, publication.account_id)
    after_failure = AfterFailure.HOLD if account is None else account.after_failure
    earlier = post_times.unfinished_before(connection, publication, after_failure)
    if earlier is not None:
        raise NotPossible(
            "earlier_part_waits",
            f"part {earlier.segment_number} is not out: it is {earlier.status}; parts keep their order, so publish or "
            "skip it first",
            part=earlier.segment_number,
        )


def _words(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y at %H:%M} UTC"


def change_job(machine: Machine, connection: Connection, job: Job, change: TimeChange) -> None:
    """Hold, release or move all posts of a job that are not out. A change that was made already does nothing.

    Raises:
        NotPossible: "publication_started" if nothing of the job waits any more.
    """
    posts = publications.of_job(connection, job.id)
    waiting = [one for one in posts if one.status is PublicationStatus.WAITING]
    is_over = job.status in JOB_OVER or (posts and not waiting)
    ids = [one.id for one in waiting]
    if change.held is not None and (job.held != change.held or any(one.held != change.held for one in waiting)):
        _refuse_if(bool(is_over))
        jobs.set_held(connection, job.id, held=change.held)
        post_times.set_held_of_job(connection, job.id, held=change.held)
        record_person(machine, connection, ids, f"A person {'holds' if change.held else 'releases'} the video")
        emit(machine, connection, "job.held" if change.held else "job.released", job)
    if change.move is not None:
        _move_job(machine, connection, job, change.move.publish_after, ids, is_over=bool(is_over))
    start_due(machine, connection)


def _move_job(
    machine: Machine,
    connection: Connection,
    job: Job,
    moment: datetime | None,
    waiting_ids: Sequence[str],
    *,
    is_over: bool,
) -> None:
    """Give a job another time, or its posts the same time again if single ones were to go out before."""
    followed = post_times.follow_job(connection, job.id, moment)
    if moment == job.publish_after and not followed:
        return
    _refuse_if(is_over)
    jobs.set_publish_after(connection, job.id, moment)
    post_times.clear_due(connection, job.id)
    record_person(machine, connection, waiting_ids, "A person moves the video")
    emit(machine, connection, "job.moved", job, publish_after=moment)


def _refuse_if(is_over: bool) -> None:
    if is_over:
        raise NotPossible("publication_started", "every post of this video has begun or is over")
