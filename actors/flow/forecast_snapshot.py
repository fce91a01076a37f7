"""Reads the snapshot of which a forecast is made."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import chain

from sqlalchemy import Connection

from actors.flow import account_schedules, expected_posts
from actors.flow.expected_posts import ExpectedPosts
from actors.flow.forecast import AccountQueue, Snapshot
from actors.flow.scheduling import limits_of
from actors.flow.turns import MAX_OPEN, PostingLimits
from actors.machine import Machine
from store import accounts, forecast_rows, platform_states
from store.accounts import Account
from store.forecast_rows import UnrenderedPart
from store.jobs import Job
from store.states import AccountStatus, AfterFailure

USUAL_POST_S = 60.0  # until an account has posts to measure; with a gap between posts it changes nothing
USUAL_PACE = 2.0  # seconds a second of video, until a part of the job is rendered: one core, Full HD, with correction


def read(machine: Machine, connection: Connection, new_job: Job | None = None) -> Snapshot:
    """Return the snapshot of all accounts; their queues are read from the connection as far as they are needed.

    Args:
        machine: for its clock and settings.
        connection: to the store.
        new_job: that is not stored yet; its posts are expected, too.
    """
    now = machine.now()
    known = account_schedules.read(connection)
    outages = {state.platform: state.paused_until for state in platform_states.list_out(connection)}
    owners = accounts.list_all(connection)
    rendered_at = _rendered_at(machine, connection, now)
    pace = USUAL_PACE / machine.settings.worker_concurrency
    expected = expected_posts.read(connection, max(rendered_at.values(), default=now), pace=pace, new_job=new_job)
    queues = [
        _queue(connection, one, limits_of(connection, one, known.of(one), outages.get(one.platform), now), expected)
        for one in owners
    ]
    return Snapshot(
        now=now,
        max_open=MAX_OPEN,
        accounts=queues,
        rendered_at={**rendered_at, **expected.rendered_at},
        expected=expected.by_job(owners),
    )


def _queue(connection: Connection, account: Account, limits: PostingLimits, expected: ExpectedPosts) -> AccountQueue:
    measured_s = forecast_rows.post_duration_s(connection, account.id)
    post_s = USUAL_POST_S if measured_s is None else measured_s
    holds = account.after_failure is AfterFailure.HOLD
    under_way = forecast_rows.under_way_until(connection, account.id)
    begun = [limits.recent[-1] + timedelta(seconds=post_s)] if under_way and limits.recent else []
    return AccountQueue(
        id=account.id,
        owner_id=account.owner_id,
        is_connected=account.status is AccountStatus.CONNECTED,
        schedule=limits.schedule,
        recent=limits.recent,
        pauses=limits.pauses,
        post_s=post_s,
        posts=chain(forecast_rows.open_posts(connection, account.id), expected.on(account)),
        wanted_now=forecast_rows.posts_wanted_now(connection, account.id),
        free_at=max([*under_way, *begun], default=None),
        post_limit=limits.post_limit,
        held_after=forecast_rows.first_unpublished(connection, account.id) if holds else {},
    )


def _rendered_at(machine: Machine, connection: Connection, now: datetime) -> dict[str, datetime]:
    """Return the estimated end of the rendering of each part, by the pace of its job so far."""
    parts = forecast_rows.unrendered_parts(connection)
    paces = {job_id: forecast_rows.rendering_pace(connection, job_id) for job_id in {part.job_id for part in parts}}
    at, times = now, {}
    for part in parts:
        work_s = _work_s(part, paces[part.job_id]) / machine.settings.worker_concurrency
        at += timedelta(seconds=work_s)
        times[part.id] = at if part.retry_at is None else max(at, part.retry_at + timedelta(seconds=work_s))
    return times


def _work_s(part: UnrenderedPart, pace: float | None) -> float:
    return (part.duration or 0.0) * (1 - part.progress) * (USUAL_PACE if pace is None else pace)
